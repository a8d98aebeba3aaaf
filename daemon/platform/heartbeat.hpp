// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace things {

/// How one thread knows that another one still makes progress: the watcher asks, the watched thread answers
/// in its next round, and what it owes for long tells that it hangs.
/// No lock: each counter is written by one side only.
class Heartbeat {
public:
    /// The watched thread, each round. Never blocks.
    void beat() noexcept { answered_ = asked_.load(); }

    /// The watcher, now and then, with a clock that never steps: how long the thread has owed an answer. Asks
    /// anew if it owes none; the watcher then wakes the thread.
    std::chrono::milliseconds ask(std::int64_t now_ms) noexcept {
        if (answered_ == asked_) {
            asked_at_ms_ = now_ms;
            ++asked_;
        }
        return std::chrono::milliseconds(now_ms - asked_at_ms_);
    }

private:
    std::atomic<std::uint64_t> asked_{0}, answered_{0};
    std::int64_t asked_at_ms_ = 0; ///< watcher's only
};

} // namespace things
