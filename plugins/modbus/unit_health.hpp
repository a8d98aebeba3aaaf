// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/stream.hpp"

#include <chrono>

// What is known of one unit on the bus: whether it answers, and when to ask again if it does not. A silent
// unit is asked less and less often, so that it costs its neighbours little. Plain values; time comes in.
namespace things {

class UnitHealth {
public:
    /// unknown: at the start and after one missed answer. dead: next() says when it may be asked again.
    enum class State : unsigned char { unknown, alive, dead };

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool is_due(SteadyTime now) const { return state_ != State::dead || now >= next_; }
    [[nodiscard]] SteadyTime next() const { return next_; }
    /// Silences in a row since the last answer.
    [[nodiscard]] int failures() const { return failures_; }

    /// True if it was dead before.
    bool on_answer();
    /// It did not answer. The wait doubles from twice the timeout up to `longest`; 0: it is always asked.
    /// At least a second; sixteen doublings at most.
    void on_silence(SteadyTime now, std::chrono::milliseconds timeout, std::chrono::milliseconds longest);
    /// It missed one answer: not known until it is asked again.
    void doubt() { state_ = State::unknown; }
    /// Something changed on the line: ask at once.
    void wake(SteadyTime now);

private:
    State state_ = State::unknown;
    int failures_ = 0;
    SteadyTime next_{};
};

} // namespace things
