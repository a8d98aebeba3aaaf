// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <optional>

// How long to wait after failures. Pure state; time (milliseconds of any steady clock) and randomness
// (uniform in [0, 1)) are arguments.
namespace things {

/// Exponential from `initial` to `max`, with full jitter after the cap: each wait is uniform between 0 and
/// min(max, initial * 2^failures). Starts anew only after three successes in a row, so that a flapping link
/// does not reset it.
class Backoff {
public:
    Backoff(Milliseconds initial, Milliseconds max) : initial_(initial), max_(max) {}
    /// Counts one more failure and returns how long to wait after it; may be zero.
    [[nodiscard]] Milliseconds next(double random);
    /// Without failures before it nothing happens.
    void succeed();
    void reset() { failures_ = successes_ = 0; }
    /// After a reload; the count of failures stays.
    void set_range(Milliseconds initial, Milliseconds max) { initial_ = initial, max_ = max; }
    [[nodiscard]] int failures() const { return failures_; }

private:
    Milliseconds initial_, max_;
    int failures_ = 0, successes_ = 0;
};

/// Guards the host: closed lets everything through, open nothing, half open one probe at a time.
///
///   state      lets through    leaves it by
///   closed     everything      on_failure -> open
///   open       nothing         its time is over, and somebody asks -> half open; wake() shortens the time
///   half open  one probe       on_answer -> closed; on_failure -> open, longer;
///                              on_probe_dropped -> open, due at once
class Breaker {
public:
    enum class State : std::uint8_t { closed, open, half_open };
    Breaker(Milliseconds initial, Milliseconds max) : backoff_(initial, max) {}

    /// Whether a post may start now. When half open, true makes that post the probe.
    [[nodiscard]] bool admit(std::int64_t now_ms);
    /// When to ask again after a refusal; none if only the probe's end can change the answer.
    [[nodiscard]] std::optional<std::int64_t> next_try_ms() const;
    /// A complete answer of the platform itself, whatever it said.
    void on_answer();
    /// Opens it, for `wait` if given, else with back-off. While open already, only a longer wait counts.
    /// `is_asked`: the wait is the platform's wish, which wake() respects.
    void on_failure(std::int64_t now_ms, double random, std::optional<Milliseconds> wait,
                    bool is_asked = true);
    /// A probe that ended without saying anything about the host.
    void on_probe_dropped(std::int64_t now_ms);
    /// The network came up: the next post may be tried at once, unless the platform asked for a pause.
    void wake(std::int64_t now_ms);
    [[nodiscard]] State state() const { return state_; }
    void set_range(Milliseconds initial, Milliseconds max) { backoff_.set_range(initial, max); }
    [[nodiscard]] int failures() const { return backoff_.failures(); }

private:
    Backoff backoff_;
    State state_ = State::closed;
    std::int64_t until_ms_ = 0;
    bool is_probing_ = false;
    bool is_asked_ = false; ///< the wait is the platform's wish
};

} // namespace things
