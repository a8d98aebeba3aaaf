// SPDX-License-Identifier: Apache-2.0
#include "modbus/unit_health.hpp"

#include <algorithm>

namespace things {

bool UnitHealth::on_answer() {
    const bool was_dead = state_ == State::dead;
    state_ = State::alive;
    failures_ = 0;
    return was_dead;
}

void UnitHealth::on_silence(SteadyTime now, std::chrono::milliseconds timeout,
                            std::chrono::milliseconds longest) {
    constexpr int most_doublings = 16;
    constexpr std::chrono::milliseconds shortest{1000};
    state_ = State::dead;
    const int doublings = std::min(failures_, most_doublings);
    ++failures_;
    const auto wait = std::max(2 * timeout, shortest) * (1 << doublings);
    next_ = now + std::min<std::chrono::milliseconds>(wait, longest);
}

void UnitHealth::wake(SteadyTime now) {
    if (state_ == State::dead)
        next_ = std::min(next_, now);
}

} // namespace things
