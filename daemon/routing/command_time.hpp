// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"
#include "platform/clock.hpp"

#include <cstdint>
#include <optional>

// When a command may begin. Its time runs from receipt and goes on while the gateway is down: CLOCK_BOOTTIME
// within one boot, the system clock across boots. Pure; any thread.
namespace things {

/// The ttl of a command that never expires: a set-point falls back however late.
inline constexpr std::int64_t command_forever_ms = INT64_MAX / 4;

/// `due` of one that never expires says command_forever_ms.
struct CommandTime {
    enum class State : std::uint8_t {
        early,   ///< not before `in_ms` have passed
        due,     ///< may begin; is over in `in_ms`
        over,    ///< must not begin any more
        unknown, ///< another boot, and the clock is not set yet: must not begin, ask again later
    };
    State state = State::due;
    std::int64_t in_ms = 0;
};

/// Time since receipt; none if it cannot be known yet. Receipt in the future counts as long ago: a clock was
/// wrong, and a command must not outlive its ttl for that.
[[nodiscard]] std::optional<std::int64_t> elapsed_ms(const Command& command, const Clock& clock,
                                                     bool clock_trusted);

/// `over` once more than delay and ttl have passed since receipt, whatever the clock says now; across boots
/// at least this boot's time has passed.
[[nodiscard]] CommandTime command_time(const Command& command, const Clock& clock, bool clock_trusted);

} // namespace things
