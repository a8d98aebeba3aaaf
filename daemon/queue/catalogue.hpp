// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// The numbers that stand for devices and series in readings. Given once, in order of appearance, and never
// again to something else: they stand on flash. Loop only; persisted by the queue before readings use them.
namespace things {

/// A series of the catalogue.
struct Series {
    DeviceId device = 0;
    std::string name, unit;
    friend bool operator==(const Series&, const Series&) = default;
};

/// Only grows; a few bytes for each name ever configured.
class Catalogue {
public:
    /// The number of a device or series; a new one if it is not known yet.
    /// Costs one look-up in a hash table, as does series().
    DeviceId device(const std::string& dvnuuid);
    SeriesId series(DeviceId device, const std::string& name, const std::string& unit);

    [[nodiscard]] const std::vector<std::string>& devices() const { return devices_; }
    [[nodiscard]] const std::vector<Series>& all_series() const { return series_; }

    /// Takes over stored entries; false if the number already stands for something else or leaves a gap.
    bool restore_device(DeviceId id, const std::string& dvnuuid);
    bool restore_series(SeriesId id, const Series& series);

    /// Entries from these numbers on, as bytes (count of devices, each text; count of series, each device,
    /// name, unit).
    [[nodiscard]] std::string encode_from(std::size_t device, std::size_t series) const;
    /// Takes over such bytes, which begin at those numbers; false if they contradict what is known.
    /// Entries before the contradiction stay.
    bool decode_from(std::string_view bytes, std::uint64_t device, std::uint64_t series);

private:
    std::vector<std::string> devices_;
    std::vector<Series> series_;
    std::unordered_map<std::string, DeviceId> device_ids_;
    std::unordered_map<std::string, SeriesId> series_ids_; ///< by device, name and unit
};

} // namespace things
