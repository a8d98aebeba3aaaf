// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

// Thins a stream of values to an interval: on a grid, to the nearest value, so that one that comes a little
// early is not skipped and a value each ten seconds stays one each ten seconds. Pure; times in milliseconds
// of a steady clock.
namespace things {

/// Starts with the first value. After a pause it goes on with the next place of the grid, without making up
/// for those that were missed.
class IntervalGrid {
public:
    /// A value is there: keeps track of how often that happens. Call it for each, before is_due.
    void see(std::int64_t now_ms) {
        if (seen_ms_ != 0)
            period_ms_ += (std::clamp<std::int64_t>(now_ms - seen_ms_, 10, 10'000) - period_ms_) / 4;
        seen_ms_ = now_ms;
    }
    /// Early by up to half of the usual distance between values, at most half an interval. An interval of 0
    /// or less: always.
    [[nodiscard]] bool is_due(std::int64_t now_ms, std::int64_t interval_ms) const {
        return due_ms_ == 0 || interval_ms <= 0 || now_ms + tolerance(interval_ms) >= due_ms_;
    }
    /// The value was reported.
    void advance(std::int64_t now_ms, std::int64_t interval_ms) {
        std::int64_t interval = std::max<std::int64_t>(interval_ms, 1);
        if (due_ms_ == 0)
            due_ms_ = now_ms;
        due_ms_ +=
            interval * std::max<std::int64_t>((now_ms + tolerance(interval) - due_ms_) / interval + 1, 1);
    }

private:
    [[nodiscard]] std::int64_t tolerance(std::int64_t interval_ms) const {
        return std::min(period_ms_, interval_ms) / 2;
    }
    std::int64_t due_ms_ = 0, seen_ms_ = 0, period_ms_ = 1000;
};

} // namespace things
