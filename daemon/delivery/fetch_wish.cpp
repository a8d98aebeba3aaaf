// SPDX-License-Identifier: Apache-2.0
#include "delivery/fetch_wish.hpp"

namespace things {

namespace {

constexpr std::int64_t minute_ms = 60'000;
constexpr int most_a_minute = 30;

} // namespace

void FetchWish::ask(std::int64_t now_ms) {
    if (now_ms - window_ms_ >= minute_ms) {
        window_ms_ = now_ms;
        in_window_ = 0;
    }
    ++in_window_;
    // A platform that always has one more downlink must not turn a device into a loop.
    when_ms_ = in_window_ > most_a_minute ? window_ms_ + minute_ms : now_ms;
}

} // namespace things
