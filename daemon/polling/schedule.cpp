// SPDX-License-Identifier: Apache-2.0
#include "polling/schedule.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace things {

namespace {

constexpr std::int64_t first_within_ms = 1000;
constexpr std::uint32_t no_group = std::numeric_limits<std::uint32_t>::max();
constexpr int patience = 4; ///< intervals that a group may be late before it goes first
constexpr double smoothing = 0.5;
constexpr double first_guess_ms = 10; ///< that a point takes; slices are small until it is known better

std::int64_t first_beat_after(std::int64_t time, std::int64_t interval, std::int64_t phase) {
    const std::int64_t beats = (time - phase) / interval;
    std::int64_t beat = beats * interval + phase;
    while (beat <= time)
        beat += interval;
    return beat;
}

} // namespace

std::uint64_t phase_seed(std::string_view source, std::string_view device) {
    std::uint64_t hash = 14695981039346656037U; // FNV-1a
    const auto mix = [&hash](unsigned char c) {
        hash = (hash ^ c) * 1099511628211U;
    };
    for (const char c : source)
        mix(static_cast<unsigned char>(c));
    mix('/');
    for (const char c : device)
        mix(static_cast<unsigned char>(c));
    return hash >> 16U; // the low bits of FNV are its worst
}

Schedule::Schedule(const std::vector<TimedPoint>& points, std::int64_t now_ms) {
    std::map<std::pair<std::uint32_t, std::int64_t>, std::uint32_t> known;
    std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
    for (std::uint32_t i = 0; i < points.size(); ++i) {
        const TimedPoint& point = points[i];
        if (point.interval_ms == never_due) {
            group_of_.push_back(no_group);
            continue;
        }
        const std::int64_t interval = std::max<std::int64_t>(1, point.interval_ms);
        const auto [place, is_new] =
            known.emplace(std::pair(point.device, interval), static_cast<std::uint32_t>(groups_.size()));
        if (is_new) {
            Group group;
            group.interval = interval;
            group.device = point.device;
            group.phase = static_cast<std::int64_t>(point.seed % static_cast<std::uint64_t>(interval));
            // The first reading of all soon, so that a start shows what works; the phase comes with the
            // second.
            const auto spread = static_cast<std::uint64_t>(std::min(interval, first_within_ms));
            group.due = now_ms + static_cast<std::int64_t>(point.seed % spread);
            shortest = std::min(shortest, interval);
            groups_.push_back(std::move(group));
            waiting_.emplace(groups_.back().due, place->second);
        }
        groups_[place->second].points.push_back(i);
        groups_[place->second].cost_ms += first_guess_ms;
        group_of_.push_back(place->second);
    }
    // Half the shortest interval: a long list of slow points is polled in slices that let the fast ones in.
    if (!groups_.empty())
        slice_ms_ = std::clamp(static_cast<double>(shortest) / 2, 20.0, 2000.0);
}

void Schedule::wake(std::int64_t now_ms) {
    while (!waiting_.empty() && waiting_.top().first <= now_ms) {
        const auto [due, group] = waiting_.top();
        waiting_.pop();
        ready_.emplace(groups_[group].interval, due, group);
    }
}

std::vector<std::uint32_t> Schedule::by_urgency(std::int64_t now_ms) const {
    std::vector<Beat> starving;
    std::vector<std::uint32_t> order;
    order.reserve(ready_.size());
    for (const auto& [interval, due, group] : ready_)
        if (now_ms - due > patience * interval)
            starving.emplace_back(due, group);
    std::sort(starving.begin(), starving.end());
    for (const Beat& beat : starving)
        order.push_back(beat.second);
    for (const auto& [interval, due, group] : ready_)
        if (now_ms - due <= patience * interval)
            order.push_back(group);
    return order;
}

void Schedule::advance(Group& group, std::int64_t now_ms) {
    std::int64_t beat = first_beat_after(now_ms, group.interval, group.phase);
    const std::int64_t skipped = (now_ms - group.due) / group.interval;
    if (skipped > 0)
        missed_ += static_cast<std::uint64_t>(skipped);
    // The first reading is off the grid; where the next beat comes soon after it, that one is left out.
    if (beat - now_ms < group.interval / 2 && (group.due - group.phase) % group.interval != 0)
        beat += group.interval;
    group.due = beat;
}

std::vector<std::uint32_t> Schedule::take(std::int64_t now_ms) {
    wake(now_ms);
    taken_.clear();
    double cost = 0;
    for (const std::uint32_t number : by_urgency(now_ms)) {
        const Group& group = groups_[number];
        if (!taken_.empty() && cost + group.cost_ms > slice_ms_)
            break;
        cost += group.cost_ms;
        ready_.erase({group.interval, group.due, number});
        taken_.push_back(number);
    }
    std::sort(taken_.begin(), taken_.end(), [this](std::uint32_t a, std::uint32_t b) {
        return std::tuple(groups_[a].device, groups_[a].interval) <
               std::tuple(groups_[b].device, groups_[b].interval);
    });
    std::vector<std::uint32_t> points;
    for (const std::uint32_t number : taken_) {
        const Group& group = groups_[number];
        const auto& due = group.rest.empty() ? group.points : group.rest;
        points.insert(points.end(), due.begin(), due.end());
    }
    taken_points_ = points.size();
    return points;
}

void Schedule::done(std::int64_t now_ms, std::int64_t duration_ms, const std::vector<std::uint32_t>& left) {
    for (const std::uint32_t number : taken_)
        groups_[number].rest.clear();
    for (const std::uint32_t point : left)
        if (point < group_of_.size() && group_of_[point] != no_group)
            groups_[group_of_[point]].rest.push_back(point);
    const std::size_t finished = taken_points_ - std::min(taken_points_, left.size());
    for (const std::uint32_t number : taken_) {
        Group& group = groups_[number];
        if (!group.rest.empty()) {
            ready_.emplace(group.interval, group.due, number);
            continue;
        }
        const double share = static_cast<double>(group.points.size()) /
                             static_cast<double>(std::max<std::size_t>(1, finished));
        const double cost = static_cast<double>(duration_ms) * std::min(1.0, share);
        // Half of what was, half of what is: a single timeout is forgotten after some polls.
        group.cost_ms += smoothing * (cost - group.cost_ms);
        advance(group, now_ms);
        waiting_.emplace(group.due, number);
    }
    taken_.clear();
}

std::int64_t Schedule::next(std::int64_t now_ms) const {
    if (!ready_.empty())
        return now_ms;
    return waiting_.empty() ? std::numeric_limits<std::int64_t>::max() : waiting_.top().first;
}

} // namespace things
