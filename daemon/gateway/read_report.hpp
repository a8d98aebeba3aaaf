// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "polling/source.hpp"

#include <string>
#include <vector>

// What `read` found, the same from the running daemon and from a bus that was opened by hand.
namespace things {

/// One point, read once.
/// `point` belongs to the device that is reported on.
struct PointResult {
    const PointConfig* point = nullptr;
    BusResult result;
};

/// {"device", "points": [{"name", "unit", "value", "raw", "duration_ms", "time_ms", "error"}], "senml":
/// "[...]"}; value is null and error not empty where a point could not be read. `senml` is the pack these
/// readings would make. `wall_ms` is the time of readings whose stamp has none.
std::string read_report(const DeviceConfig& device, const std::vector<PointResult>& results,
                        std::int64_t wall_ms);

/// The pack of these readings alone, with the time each was taken; empty if none could be read.
/// At most 10,000 records; what could not be read is left out. Not signed.
std::string pack_of(const DeviceConfig& device, const std::vector<PointResult>& results,
                    std::int64_t wall_ms);

} // namespace things
