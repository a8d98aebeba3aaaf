// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/time_service.hpp"

#include <cstdint>
#include <string>

namespace things {

/// The beginning of the day on which this was built, in UTC: a wall time before it is wrong. Pure.
[[nodiscard]] std::int64_t build_floor_ms();

/// The clocks of the machine. An argument everywhere, so that a test owns the time. Any thread.
class Clock {
public:
    virtual ~Clock() = default;
    /// System clock, milliseconds since the Unix epoch. May be wrong and may step.
    [[nodiscard]] virtual std::int64_t wall_ms() const = 0;
    /// CLOCK_BOOTTIME in milliseconds: never steps, goes on during suspend, starts anew with each boot.
    [[nodiscard]] virtual std::int64_t boot_ms() const = 0;
    /// Whether the system clock is synchronised, as TimeService has it.
    [[nodiscard]] virtual bool is_synchronised() const = 0;
    /// Identifies the present boot (/proc/sys/kernel/random/boot_id).
    [[nodiscard]] virtual std::string boot_id() const = 0;
};

/// The real ones.
/// Reads the kernel at each call; never fails, never waits (see TimeService).
class SystemClock : public Clock {
public:
    [[nodiscard]] std::int64_t wall_ms() const override;
    [[nodiscard]] std::int64_t boot_ms() const override;
    [[nodiscard]] bool is_synchronised() const override;
    [[nodiscard]] std::string boot_id() const override;

private:
    TimeService time_service_;
};

} // namespace things
