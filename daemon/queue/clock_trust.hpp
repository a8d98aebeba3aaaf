// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/reading.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

// Decides whether the system clock may be believed, and stamps readings. It may while it is synchronised, or
// while the platform's answers over verified TLS agree with it: three in a row, over half a minute at least,
// each within five seconds; that holds for an hour after the last one. Until then, stamps count
// CLOCK_BOOTTIME; afterwards they are boot time + an offset ("anchor") that follows the system clock: slewing
// by at most 1 ms a second, anew after a step of more than one second. So a stamp never goes back but by a
// real step, and a clock that loses its synchronisation goes on at the last good offset.
//
// Stamps are multiples of 4 ms, but while the clock, having been set back, passes over times that were given
// out already: there they are 1 ms beside them, 2 ms after a second step over the same times, 3 ms after a
// third. So no time comes twice, wherever the readings of before are by now, and nothing has to be searched.
// (Remembering the times of each series was discarded: those on flash, and those accepted long ago, count
// too. Left open: a burst of one series, which takes every millisecond, and a fourth step over the same
// times.)
//
// Example: boot 5,000 ms, unsynchronised: now() is {5000, boot}. NTP sets the clock at boot 9,000 ms to
// 1,750,000,009,000: the anchor is 1,750,000,000,000, and the reading of before belongs to
// 1,750,000,005,000. At boot 20,000 ms somebody sets the clock back by ten seconds: readings carry
// 1,750,000,010,001, 1,750,000,010,005 and so on until 1,750,000,020,000 is passed.
namespace things {

class Clock;

/// What an update found.
enum class ClockEvent : std::uint8_t { none, trusted, stepped };

/// Times that were given out before the clock was set back: up to `until_ms`, by as many passes as `level`
/// says, 0 to 3. Kept over restarts.
struct Retrace {
    std::int64_t until_ms = 0;
    std::uint32_t level = 0;
};

class ClockTrust {
public:
    /// The clock outlives this object. A wall time below `floor_ms` (build time) is wrong whoever vouches for
    /// it.
    /// `require_sync`: believe the clock only while it is synchronised; otherwise any time from the floor on.
    ClockTrust(const Clock& clock, bool require_sync, std::int64_t floor_ms);

    /// The time of a reading taken now. Any thread; costs one reading of the clock.
    [[nodiscard]] Stamp now() const;
    /// Looks at the clock; to be called about once a second. Loop only.
    /// `trusted` once, when the clock is first believed; `stepped` at each step after that.
    ClockEvent update();
    /// The platform answered just now, after `took`, and its clock said `date_ms` (whole seconds). Loop only.
    void witness(std::int64_t date_ms, Milliseconds took);
    /// Whether somebody vouches for the clock at this moment: NTP or the platform. Loop only.
    [[nodiscard]] bool is_vouched() const;
    /// Whether somebody has to be asked for the time, since nobody vouches for the clock. Loop only.
    [[nodiscard]] bool needs_witness() const;
    /// While the clock is not believed: why, and what to do. Loop only.
    [[nodiscard]] std::string explain_wait() const;

    /// Milliseconds to add to boot time, or none while the clock is not trusted. Any thread.
    [[nodiscard]] std::optional<std::int64_t> anchor() const;
    /// Size of the last step in milliseconds, for the log. Loop only.
    [[nodiscard]] std::int64_t last_step_ms() const { return last_step_ms_; }
    /// False: the system clock is below the floor or the saved time, so that a certificate "not yet valid"
    /// says nothing. Any thread.
    [[nodiscard]] bool is_plausible() const;
    /// The last time that was believed, also in earlier boots: a clock that nobody has set yet and that is
    /// below it is wrong. One that is synchronised, or that was believed before in this boot, may be set
    /// back: it may have been ahead. Any thread.
    void remember(std::int64_t wall_ms) { saved_ms_ = wall_ms; }
    /// The lowest time that is plausible.
    [[nodiscard]] std::int64_t floor_ms() const { return std::max(floor_ms_, saved_ms_.load()); }
    /// Takes over the anchor of an earlier run of the daemon in this boot. Loop only, before readings.
    /// It is believed at once, without asking for synchronisation: it was in this boot.
    void restore(std::int64_t anchor_ms);
    [[nodiscard]] Retrace retrace() const { return {retraced_until_ms_, retrace_level_}; }
    /// Loop only, before readings.
    void restore(const Retrace& retrace);
    void set_require_sync(bool required) { require_sync_ = required; }

private:
    static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::min();

    /// Times up to `from_ms` were given out, and the clock goes on at `to_ms`.
    void begin_retrace(std::int64_t from_ms, std::int64_t to_ms);

    const Clock& clock_;
    bool require_sync_;
    const std::int64_t floor_ms_;
    std::atomic<std::int64_t> saved_ms_{0};
    std::atomic<std::int64_t> anchor_{none};
    std::atomic<std::int64_t> retraced_until_ms_{0};
    std::atomic<std::uint32_t> retrace_level_{0};
    std::int64_t last_step_ms_ = 0;
    std::int64_t slewed_boot_ms_ = 0; ///< when the anchor last followed the clock
    int agreements_ = 0;              ///< of the platform's clock with ours, in a row
    std::int64_t first_agreement_boot_ms_ = 0;
    std::int64_t vouched_until_boot_ms_ = 0;        ///< by the platform
    std::optional<std::int64_t> platform_ahead_ms_; ///< of ours, when it disagreed last; none: it agrees
};

} // namespace things
