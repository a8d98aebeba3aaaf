// SPDX-License-Identifier: Apache-2.0
#include "polling/intake.hpp"

#include "polling/plugin_config.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {
constexpr double spare_rate = 1000;        ///< readings a second, whatever the intervals say
constexpr double seconds_of_allowance = 5; ///< that may come at once
constexpr std::int64_t year_2000_ms = 946'684'800'000, year_2100_ms = 4'102'444'800'000;
} // namespace

Intake::Intake(const SourceWork& work) : rate_(spare_rate) {
    points_.reserve(work.points.size());
    for (const SourcePoint& point : work.points) {
        points_.push_back({point.config.labels, ReportFilter(point.config.report)});
        if (points_.back().filter.aggregates())
            aggregating_.push_back(static_cast<std::uint32_t>(points_.size() - 1));
        const auto interval = std::max<std::int64_t>(1, point.config.interval.count());
        // Four times what the intervals say: against floods, not against readings that come early.
        rate_ += 4 * 1000.0 / static_cast<double>(interval);
    }
    // Every point at once must fit in any case: that is what a start looks like.
    allowance_ = rate_ * seconds_of_allowance + 2 * static_cast<double>(points_.size());
}

bool Intake::spend(std::int64_t now_ms) {
    const double most = rate_ * seconds_of_allowance + 2 * static_cast<double>(points_.size());
    if (now_ms > spent_ms_ && spent_ms_ != 0)
        allowance_ = std::min(most, allowance_ + rate_ * static_cast<double>(now_ms - spent_ms_) / 1000);
    spent_ms_ = now_ms;
    if (allowance_ < 1)
        return false;
    allowance_ -= 1;
    return true;
}

Intake::Result Intake::take(std::vector<RawReading> raw, std::int64_t now_ms, const Stamp& stamp,
                            std::optional<std::uint32_t> by_hand) {
    Result result;
    result.readings.reserve(raw.size());
    for (RawReading& reading : raw) {
        // Who reads by hand wants to see the last value, new or not.
        if (reading.unchanged && !(by_hand && *by_hand == reading.point))
            continue;
        std::string why;
        if (reading.point >= points_.size())
            why = fmt::format("a reading of point {}, of which there are {}", reading.point, points_.size());
        else if (reading.own_time_ms &&
                 (*reading.own_time_ms < year_2000_ms || *reading.own_time_ms > year_2100_ms))
            why =
                fmt::format("a reading of point {} with the time {} ms", reading.point, *reading.own_time_ms);
        else if (is_sound(reading.value, why) && !spend(now_ms)) {
            ++result.flood;
            continue;
        }
        if (!why.empty()) {
            ++result.refused;
            result.why = std::move(why);
            continue;
        }
        Point& point = points_[reading.point];
        PointReading out;
        out.point = reading.point;
        out.value = apply_labels(point.labels, std::move(reading.value));
        out.stamp = reading.own_time_ms ? Stamp{*reading.own_time_ms, Stamp::Clock::wall} : stamp;
        out.duration_us = reading.duration_us;
        out.raw = std::move(reading.raw);
        if (by_hand && *by_hand == reading.point) {
            out.report = false;
        } else {
            if (auto sample = point.filter.due(now_ms))
                result.readings.push_back(
                    {reading.point, std::move(sample->value), sample->stamp, true, 0, {}});
            out.report = point.filter.pass({out.value, out.stamp}, now_ms);
        }
        result.readings.push_back(std::move(out));
    }
    return result;
}

std::uint64_t Intake::held() const {
    return static_cast<std::uint64_t>(
        std::count_if(aggregating_.begin(), aggregating_.end(),
                      [this](std::uint32_t point) { return points_[point].filter.holds(); }));
}

std::vector<PointReading> Intake::due(std::int64_t now_ms, bool at_end) {
    std::vector<PointReading> out;
    for (const std::uint32_t point : aggregating_)
        if (auto sample = points_[point].filter.due(now_ms, at_end))
            out.push_back({point, std::move(sample->value), sample->stamp, true, 0, {}});
    return out;
}

} // namespace things
