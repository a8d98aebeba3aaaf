// SPDX-License-Identifier: Apache-2.0
#include "routing/command_time.hpp"

#include <algorithm>

namespace things {

std::optional<std::int64_t> elapsed_ms(const Command& command, const Clock& clock, bool clock_trusted) {
    const auto boot = clock.boot_ms();
    if (command.boot_id == clock.boot_id())
        return std::max<std::int64_t>(boot - command.received_boot_ms, 0);
    if (!clock_trusted)
        return std::nullopt;
    const auto passed = clock.wall_ms() - command.received_wall_ms;
    // At least this boot's time has passed, whatever the system clock was at receipt.
    return passed < 0 ? command_forever_ms : std::max(passed, boot);
}

CommandTime command_time(const Command& command, const Clock& clock, bool clock_trusted) {
    using State = CommandTime::State;
    const auto begin = std::max<std::int64_t>(command.delay_ms, 0);
    const bool is_forever = command.ttl_ms >= command_forever_ms;
    const auto known = elapsed_ms(command, clock, clock_trusted);
    // After a reboot without a clock: at least the time since this boot has passed.
    const auto elapsed = known.value_or(clock.boot_ms());
    if (!is_forever && elapsed > command.delay_ms + command.ttl_ms)
        return {State::over, 0};
    if (!known && !(is_forever && elapsed >= begin))
        return {State::unknown, 0};
    if (elapsed < begin)
        return {State::early, begin - elapsed};
    return {State::due, is_forever ? command_forever_ms : command.delay_ms + command.ttl_ms - elapsed};
}

} // namespace things
