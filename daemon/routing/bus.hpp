// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/bus_result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

// What routing needs of the sources: write one point, read one point. The gateway joins it to polling/.
namespace things {

/// Devices and points by name. Loop only; every handler is called on the loop (at once or later), at most
/// once. A handler that never comes is given up after `bus_patience` of routing/command_run.hpp.
class Bus {
public:
    virtual ~Bus() = default;
    /// Writes one point before anything else that waits for its source. A write that has not begun at
    /// `not_after_boot_ms` (CLOCK_BOOTTIME) must not begin any more: it waited behind a hanging call.
    virtual void write(const std::string& device, const std::string& point, Value value,
                       std::int64_t not_after_boot_ms, std::function<void(BusResult)> handler) = 0;
    /// Outside the schedule, after writes; the reading does not go into the queue.
    virtual void read(const std::string& device, const std::string& point,
                      std::function<void(BusResult)> handler) = 0;
    /// The value the point was last seen to hold, for the audit line and for its kind; none if never read.
    [[nodiscard]] virtual std::optional<Value> last(const std::string& device,
                                                    const std::string& point) const = 0;
};

} // namespace things
