// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/meter_time.hpp"
#include "p1/quantity.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What one telegram says. Made by decode_telegram from the text between '/' and '!', which a checksum or, for
// meters without one, its shape has vouched for. Pure; any thread. Unknown objects are kept by code, a line
// that cannot be read costs that line only.
namespace things {

/// A number with its unit as printed; `scale` is null where there is no unit, or an unknown one.
struct MeterNumber {
    Decimal value;
    std::string unit;
    const UnitScale* scale = nullptr;
};

/// An entry of a list: an hour of gas, a month's peak, a threshold.
/// `month_end` of peaks only: the month it belongs to.
struct MeterEntry {
    std::optional<MeterTime> month_end, time;
    MeterNumber number;
    [[nodiscard]] bool is_valid() const { return !time || time->is_valid(); }
};

/// Which members count goes by `kind`: number, text, or entries with `newest`.
struct MeterObject {
    enum class Kind : std::uint8_t { number, text, list };
    std::string obis, name; ///< name: empty if unknown
    Kind kind = Kind::text;
    MeterNumber number;
    std::string text;
    std::optional<MeterTime> time; ///< capture time, where the object has one
    std::string status;            ///< of the two-line form
    bool is_valid = true; ///< false: the meter says itself that this was never taken, or it cannot be
    std::vector<MeterEntry> entries;
    int newest = -1; ///< of the entries, by time
    int channel = 0; ///< of an M-Bus device
    std::string_view medium;
};

struct MbusDevice {
    int channel = 0, type = 0;
    std::string_view medium; ///< "other" for types that have no reading here
    std::string id;
    std::optional<int> valve;
};

/// DSMR P1 5.0.2, object 1-0:99.97.0: the end of a long failure and how long it took.
struct PowerFailure {
    MeterTime end;
    std::int64_t seconds = 0;
    bool is_valid = false;
};

/// Owns all its text; may outlive the bytes it came from.
struct Telegram {
    std::string header; ///< without '/'
    std::string version;
    std::optional<MeterTime> meter_time;
    std::vector<MeterObject> objects; ///< known ones, in order
    std::vector<MeterObject> others;  ///< the rest, by code
    std::vector<MbusDevice> mbus;     ///< by channel
    std::vector<PowerFailure> power_failures;
    std::vector<MeterObject> texts; ///< messages, decoded
    bool has_power_failure_log = false;
    int repeated = 0, unreadable = 0; ///< lines
    /// Version 4.0 or later, or Belgium: such a telegram must carry a checksum.
    /// A version of 40 and up, or a header that begins with FLU5.
    [[nodiscard]] bool requires_crc() const;
    /// Something in it is known: it is a telegram and no noise.
    [[nodiscard]] bool has_known_object() const;
};

/// `body`: from '/' up to, and without, the '!'. Takes LF and CR LF.
/// Never fails and never throws for what a meter may send; at most 1024 objects are looked at. Of a repeated
/// object the last counts.
[[nodiscard]] Telegram decode_telegram(std::string_view body, const MeterClockRules& rules);

} // namespace things
