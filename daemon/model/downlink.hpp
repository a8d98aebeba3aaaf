// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <optional>
#include <string>
#include <vector>

// What the platform asks of a device, resolved from SenML, before it is matched to a writable point.
namespace things {

/// One record of a downlink, with base fields applied.
/// In the order of the pack; may be empty.
struct DownlinkRecord {
    std::string name;           ///< without the device's base name
    std::string unit;           ///< empty if none was given
    std::optional<Value> value; ///< none: the record asks for nothing that can be written
    std::optional<double>
        time_s; ///< absolute Unix time, or relative to receipt if below 2^28 (RFC 8428 4.5.3)
};

/// A downlink as received: one SenML pack for one device.
struct Downlink {
    std::vector<DownlinkRecord> records;
};

} // namespace things
