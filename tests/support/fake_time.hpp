// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/after.hpp"
#include "platform/clock.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace things {

/// Clocks that stand still until the test moves them, and the timers that hang on them.
class FakeTime : public Clock {
public:
    std::int64_t wall = 1'700'000'000'000;
    std::int64_t boot = 1'000'000;
    bool synchronised = true;
    std::string id = "boot-1";

    [[nodiscard]] std::int64_t wall_ms() const override { return wall; }
    [[nodiscard]] std::int64_t boot_ms() const override { return boot; }
    [[nodiscard]] bool is_synchronised() const override { return synchronised; }
    [[nodiscard]] std::string boot_id() const override { return id; }

    [[nodiscard]] After after() {
        return [this](std::chrono::milliseconds wait, std::function<void()> call) {
            timers_.emplace(std::pair(boot + wait.count(), ++number_), std::move(call));
        };
    }

    /// Lets time pass, calling what falls due at its very time.
    void pass(std::chrono::milliseconds span) {
        const auto end = boot + span.count();
        while (!timers_.empty() && timers_.begin()->first.first <= end) {
            const auto call = std::move(timers_.begin()->second);
            const auto at = timers_.begin()->first.first;
            timers_.erase(timers_.begin());
            if (at > boot) {
                wall += at - boot;
                boot = at;
            }
            call();
        }
        wall += end - boot;
        boot = end;
    }

    /// The machine goes down and comes up again, `span` later by the wall.
    void reboot(std::chrono::milliseconds span) {
        timers_.clear();
        wall += span.count();
        boot = 5'000;
        id += "+";
    }
    void drop_timers() { timers_.clear(); }
    [[nodiscard]] std::size_t timer_count() const { return timers_.size(); }

private:
    std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> timers_;
    std::uint64_t number_ = 0;
};

} // namespace things
