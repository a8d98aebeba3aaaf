// SPDX-License-Identifier: Apache-2.0
#include "queue/clock_trust.hpp"

#include "platform/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace things {

namespace {

constexpr std::int64_t step_ms = 1000;       // more than this is a step, not a drift
constexpr std::int64_t grid_ms = 4;          // of stamps; the milliseconds between are for retraced times
constexpr std::int64_t slew_every_ms = 4000; // by one grid_ms, 1 ms a second; NTP slews by at most half of it
constexpr std::uint32_t most_levels = grid_ms - 1;
// Readings that were given out after the time was saved last, when the machine went down.
constexpr std::int64_t unsaved_ms = 3'600'000; // the longest commit interval
// Readings that are a few seconds off serve; a clock that is hours off is what this keeps out.
constexpr std::int64_t tolerance_ms = 5000;
constexpr int agreements_needed = 3;
constexpr std::int64_t agreeing_for_ms = 30'000;
constexpr std::int64_t vouched_for_ms = 3'600'000;

std::int64_t on_grid(std::int64_t ms) {
    const std::int64_t rest = ms % grid_ms;
    return ms - (rest < 0 ? rest + grid_ms : rest);
}

} // namespace

ClockTrust::ClockTrust(const Clock& clock, bool require_sync, std::int64_t floor_ms)
    : clock_(clock), require_sync_(require_sync), floor_ms_(floor_ms) {}

Stamp ClockTrust::now() const {
    const std::int64_t boot = on_grid(clock_.boot_ms());
    // The anchor first: whoever sees one that was set back sees the retrace as well.
    const std::int64_t anchor = anchor_.load(std::memory_order_acquire);
    if (anchor == none)
        return {boot, Stamp::Clock::boot};
    const std::int64_t ms = boot + anchor;
    return {ms <= retraced_until_ms_.load(std::memory_order_relaxed) ? ms + retrace_level_ : ms,
            Stamp::Clock::wall};
}

void ClockTrust::begin_retrace(std::int64_t from_ms, std::int64_t to_ms) {
    const std::int64_t until = retraced_until_ms_;
    const bool is_again = to_ms <= until;
    retrace_level_ = is_again ? retrace_level_ % most_levels + 1 : 1;
    retraced_until_ms_ = std::max(until, from_ms);
}

ClockEvent ClockTrust::update() {
    const std::int64_t boot = clock_.boot_ms();
    const std::int64_t wall = clock_.wall_ms();
    const std::int64_t anchor = anchor_.load(std::memory_order_relaxed);
    const bool is_right = is_vouched();
    const bool was_set = is_right || anchor != none;
    if ((require_sync_ && !is_right) || wall < (was_set ? floor_ms_ : floor_ms()))
        return ClockEvent::none;
    const std::int64_t measured = on_grid(wall - boot);
    if (anchor == none) {
        // An earlier boot was ahead of what is right now.
        if (wall < saved_ms_)
            begin_retrace(saved_ms_ + unsaved_ms, wall);
        anchor_ = measured;
        return ClockEvent::trusted;
    }
    const std::int64_t off = measured - anchor;
    if (off > step_ms || off < -step_ms) {
        last_step_ms_ = off;
        if (off < 0)
            begin_retrace(boot + anchor, boot + measured);
        anchor_ = measured;
        return ClockEvent::stepped;
    }
    if (boot - slewed_boot_ms_ >= slew_every_ms) {
        slewed_boot_ms_ = boot;
        anchor_ = anchor + std::clamp(off / grid_ms * grid_ms, -grid_ms, grid_ms);
    }
    return ClockEvent::none;
}

void ClockTrust::witness(std::int64_t date_ms, Milliseconds took) {
    const std::int64_t boot = clock_.boot_ms();
    const std::int64_t wall = clock_.wall_ms();
    // Written somewhere between our question and the answer, and cut to whole seconds.
    if (date_ms + 1000 + tolerance_ms < wall - took.count() || date_ms - tolerance_ms > wall) {
        agreements_ = 0;
        vouched_until_boot_ms_ = 0;
        platform_ahead_ms_ = date_ms + 500 - (wall - took.count() / 2); // of its second, the middle
        return;
    }
    platform_ahead_ms_.reset();
    if (agreements_ == 0)
        first_agreement_boot_ms_ = boot;
    agreements_ = std::min(agreements_ + 1, agreements_needed);
    if (agreements_ == agreements_needed && boot - first_agreement_boot_ms_ >= agreeing_for_ms)
        vouched_until_boot_ms_ = boot + vouched_for_ms;
}

bool ClockTrust::is_vouched() const {
    return clock_.is_synchronised() || clock_.boot_ms() < vouched_until_boot_ms_;
}

bool ClockTrust::needs_witness() const {
    return require_sync_ && anchor_.load(std::memory_order_relaxed) == none && !clock_.is_synchronised();
}

std::string ClockTrust::explain_wait() const {
    std::string why = "not synchronised";
    if (!is_plausible())
        why = "wrong, since it is before a time that has been already";
    else if (platform_ahead_ms_)
        why += fmt::format(", and {} s {} the platform's", (std::llabs(*platform_ahead_ms_) + 500) / 1000,
                           *platform_ahead_ms_ > 0 ? "behind" : "ahead of");
    return "Readings are held back: clock " + why +
           ". They are kept and get their time once it is right. Set it (timedatectl) and let it reach a "
           "time server "
           "(UDP port 123). It is believed as well when the platform's answers agree with it for half a "
           "minute, or "
           "with time.require_sync: false.";
}

std::optional<std::int64_t> ClockTrust::anchor() const {
    const std::int64_t anchor = anchor_.load(std::memory_order_relaxed);
    return anchor == none ? std::nullopt : std::optional(anchor);
}

bool ClockTrust::is_plausible() const {
    return clock_.wall_ms() >= floor_ms();
}

void ClockTrust::restore(std::int64_t anchor_ms) {
    anchor_ = on_grid(anchor_ms); // a program of before knew no grid
}

void ClockTrust::restore(const Retrace& retrace) {
    retraced_until_ms_ = retrace.until_ms;
    retrace_level_ = std::min(retrace.level, most_levels);
}

} // namespace things
