// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

// When which point is due. Pure: the time is an argument, milliseconds of a clock that never steps
// (CLOCK_BOOTTIME). Its source's thread only.
//
// Points of one device with the same interval are a group and always due together, so that the plugin can
// join their reads. A group's beats lie on a grid: k * interval + phase, the phase made from the device's
// name, so that devices do not clump, a restart does not move them, and the beats of a device's 1 s and 10 s
// points coincide every 10 s. The first reading of a group comes early, within a second of the start.
//
// Beats that were missed (a stall, a slow line) are counted and skipped, never caught up in a burst. When
// more is asked for than can be done, groups with short intervals keep their beat and those with the longest
// one stretch, in turn; once a group is late by four intervals it goes first, so nothing starves.
namespace things {

/// `device` is any number that is the same for points that belong together.
struct TimedPoint {
    std::uint32_t device = 0;        ///< points of the same device and interval form a group
    std::int64_t interval_ms = 1000; ///< or never_due
    std::uint64_t seed = 0;          ///< the same for all points of a device; see `phase_seed`
};

/// An interval of a point that is known by its index alone.
inline constexpr std::int64_t never_due = -1;

/// A seed that spreads devices: the same name gives the same seed on every machine.
[[nodiscard]] std::uint64_t phase_seed(std::string_view source, std::string_view device);

/// Its rounds: next() says when, take() says what, done() must follow each take() before the next.
class Schedule {
public:
    /// `points` are known by their index from here on. Intervals below 1 ms count as 1 ms.
    Schedule(const std::vector<TimedPoint>& points, std::int64_t now_ms);

    /// The groups to poll now in one call, as indexes of points, sorted by device: the most urgent ones whose
    /// expected time fits into one slice, at least one. Empty if nothing is due.
    [[nodiscard]] std::vector<std::uint32_t> take(std::int64_t now_ms);

    /// Says how long the points of the last `take` took, and which of them were not asked for because the
    /// call ended early; those stay due.
    /// The cost of a group is learned from it (a mean that forgets by halves), and decides how many go into
    /// the next slice.
    void done(std::int64_t now_ms, std::int64_t duration_ms, const std::vector<std::uint32_t>& left);

    /// When there is something to take: not after `now_ms` if at once, INT64_MAX if never.
    [[nodiscard]] std::int64_t next(std::int64_t now_ms) const;

    /// Beats that were skipped since the start.
    [[nodiscard]] std::uint64_t missed() const { return missed_; }
    [[nodiscard]] std::size_t group_count() const { return groups_.size(); }

private:
    struct Group {
        std::int64_t interval = 1000, phase = 0, due = 0;
        std::vector<std::uint32_t> points;
        std::vector<std::uint32_t> rest; ///< of a call that ended early: only these are due
        std::uint32_t device = 0;
        double cost_ms = 0; ///< what it took lately
    };
    using Beat = std::pair<std::int64_t, std::uint32_t>;                ///< due, group
    using Rank = std::tuple<std::int64_t, std::int64_t, std::uint32_t>; ///< interval, due, group

    void wake(std::int64_t now_ms);
    /// Puts a group on its next beat after now, and counts those it missed.
    void advance(Group& group, std::int64_t now_ms);
    /// Starving ones first, by due time; then by interval, then by due time.
    [[nodiscard]] std::vector<std::uint32_t> by_urgency(std::int64_t now_ms) const;

    std::vector<Group> groups_;
    std::vector<std::uint32_t> group_of_; ///< by point
    std::priority_queue<Beat, std::vector<Beat>, std::greater<>> waiting_;
    std::set<Rank> ready_;
    std::vector<std::uint32_t> taken_; ///< groups of the last take
    std::size_t taken_points_ = 0;
    double slice_ms_ = 1000;
    std::uint64_t missed_ = 0;
};

} // namespace things
