// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace things {

/// So many at once, then one every `period_ms`. The clock is an argument. Loop only.
/// One number is the whole state, so a clock that stands still or a bucket that nobody asks for days costs
/// nothing.
class TokenBucket {
public:
    /// `most` and `period_ms` are at least 1. Starts full.
    TokenBucket(std::int64_t most, std::int64_t period_ms) : most_(most), period_ms_(period_ms) {}

    /// `now_ms` is of a clock that never steps. False if there is none; a refusal costs nothing.
    bool take(std::int64_t now_ms) {
        // full_at_: when the bucket would be full again; each token taken puts it off by one period.
        full_at_ = std::max(full_at_, now_ms);
        if (full_at_ - now_ms > (most_ - 1) * period_ms_)
            return false;
        full_at_ += period_ms_;
        return true;
    }
    /// How long until `take` succeeds.
    /// Milliseconds, 0 if it would succeed at once.
    [[nodiscard]] std::int64_t wait_ms(std::int64_t now_ms) const {
        return std::max<std::int64_t>(full_at_ - now_ms - (most_ - 1) * period_ms_, 0);
    }

private:
    std::int64_t most_, period_ms_;
    std::int64_t full_at_ = INT64_MIN / 2;
};

} // namespace things
