// SPDX-License-Identifier: Apache-2.0
#include "queue/clock_trust.hpp"

#include "platform/clock.hpp"

#include <algorithm>

namespace things {

namespace {

constexpr std::int64_t step_ms = 1000; // more than this is a step, not a drift
constexpr std::int64_t slew_ms = 1;    // a second; NTP slews by at most half of it

} // namespace

ClockTrust::ClockTrust(const Clock& clock, bool require_sync, std::int64_t floor_ms)
    : clock_(clock), require_sync_(require_sync), floor_ms_(floor_ms) {}

Stamp ClockTrust::now() const {
    const std::int64_t boot = clock_.boot_ms();
    const std::int64_t anchor = anchor_.load(std::memory_order_relaxed);
    if (anchor == none)
        return {boot, Stamp::Clock::boot};
    return {boot + anchor, Stamp::Clock::wall};
}

ClockEvent ClockTrust::update() {
    const std::int64_t boot = clock_.boot_ms();
    const std::int64_t wall = clock_.wall_ms();
    const std::int64_t anchor = anchor_.load(std::memory_order_relaxed);
    const bool is_synchronised = clock_.is_synchronised();
    const bool was_set = is_synchronised || anchor != none;
    if ((require_sync_ && !is_synchronised) || wall < (was_set ? floor_ms_ : floor_ms()))
        return ClockEvent::none;
    const std::int64_t measured = wall - boot;
    if (anchor == none) {
        anchor_ = measured;
        return ClockEvent::trusted;
    }
    const std::int64_t off = measured - anchor;
    if (off > step_ms || off < -step_ms) {
        last_step_ms_ = off;
        anchor_ = measured;
        return ClockEvent::stepped;
    }
    if (boot - slewed_boot_ms_ >= 1000) {
        slewed_boot_ms_ = boot;
        anchor_ = anchor + std::clamp(off, -slew_ms, slew_ms);
    }
    return ClockEvent::none;
}

std::optional<std::int64_t> ClockTrust::anchor() const {
    const std::int64_t anchor = anchor_.load(std::memory_order_relaxed);
    return anchor == none ? std::nullopt : std::optional(anchor);
}

bool ClockTrust::is_plausible() const {
    return clock_.wall_ms() >= floor_ms();
}

void ClockTrust::restore(std::int64_t anchor_ms) {
    anchor_ = anchor_ms;
}

} // namespace things
