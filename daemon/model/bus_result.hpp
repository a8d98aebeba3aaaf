// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <cstdint>
#include <string>

// How one write or read of a point ended. Made by the source that did it, read by whoever asked. A plain
// value; any thread.
namespace things {

/// `value` is what was read, or what the device should now hold.
struct BusResult {
    /// `stopped`: the source ended before a write began, or before a read ended. `timeout` of a write: nobody
    /// knows whether it was done.
    enum class Status : std::uint8_t { ok, failed, refused, timeout, unsupported, stopped };
    Status status = Status::ok;
    Value value;
    Stamp stamp;                   ///< of a read: when it was taken
    std::uint32_t duration_us = 0; ///< of the plugin's call
    std::string raw;               ///< what came over the wire, if the plugin says
    std::string text;              ///< if not ok: why not, in words for a technician

    [[nodiscard]] bool is_ok() const { return status == Status::ok; }
};

} // namespace things
