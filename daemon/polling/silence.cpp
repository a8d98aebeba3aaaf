// SPDX-License-Identifier: Apache-2.0
#include "polling/silence.hpp"

#include "polling/event_filter.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

constexpr std::int64_t look_every_ms = 1000;
constexpr std::int64_t intervals = 3;

/// A point that is only written has no value to give.
bool is_read(const SourcePoint& point) {
    return !point.config.write_only;
}

std::string explain(const std::string& what, const std::string& reason) {
    return reason.empty() ? what : what + ": " + reason;
}

} // namespace

Silence::Silence(const SourceWork& work, bool polls, Milliseconds least)
    : work_(work), polls_(polls), least_ms_(least.count()), has_given_(work.points.size()) {
    std::int64_t shortest = 0;
    for (std::size_t i = 0; i < work.points.size(); ++i) {
        const SourcePoint& point = work.points[i];
        has_given_[i] = is_read(point) ? 0 : 1;
        const std::int64_t interval = point.config.interval.count();
        if (is_read(point) && (shortest == 0 || interval < shortest))
            shortest = interval;
    }
    longest_ms_ = std::max(least_ms_, intervals * shortest);
}

void Silence::on_create(std::int64_t now_ms) {
    created_ms_ = now_ms;
    is_asked_ = false;
}

void Silence::on_reading(std::uint32_t point, std::int64_t now_ms) {
    given_ms_ = now_ms;
    is_asked_ = false;
    has_given_.at(point) = 1;
    if (reasons_.empty())
        return;
    reasons_.erase({Level::point, point});
    reasons_.erase({Level::device, work_.points[point].device});
    reasons_.erase({Level::source, 0});
}

void Silence::on_reason(Level level, std::uint32_t index, std::string text) {
    reasons_[{level, index}] = std::move(text);
}

const std::string* Silence::reason(Level level, std::uint32_t index) const {
    const auto found = reasons_.find({level, index});
    return found == reasons_.end() ? nullptr : &found->second;
}

std::string Silence::reason_for(std::uint32_t point) const {
    for (const std::string* text :
         {reason(Level::point, point), reason(Level::device, work_.points.at(point).device),
          reason(Level::source, 0)})
        if (text != nullptr)
            return *text;
    return {};
}

std::vector<SourceEvent> Silence::due(std::int64_t now_ms, const EventFilter& events) {
    std::vector<SourceEvent> out;
    const bool has_points = std::any_of(work_.points.begin(), work_.points.end(), is_read);
    if (now_ms < look_at_ms_ || !has_points)
        return out;
    look_at_ms_ = now_ms + look_every_ms;
    // A failure of the source says more than its silence, and holds for every point.
    if (events.is_failing(Level::source, 0))
        return out;
    const std::int64_t since_ms = std::max(created_ms_, given_ms_);
    const std::int64_t quiet_ms = now_ms - since_ms;
    // One that is asked once in an hour says nothing in between.
    const bool could_speak = !polls_ || is_asked_;
    if (quiet_ms >= (given_ms_ == 0 ? least_ms_ : longest_ms_) && could_speak) {
        if (events.has_failures())
            return out;
        std::string reason = work_.points.size() == 1 ? reason_for(0) : std::string();
        if (const std::string* of_all = this->reason(Level::source, 0); reason.empty() && of_all != nullptr)
            reason = *of_all;
        if (reason.empty() && !reasons_.empty())
            reason = reasons_.begin()->second;
        out.push_back(
            {SourceEvent::Kind::problem, Level::source, 0, code,
             explain(given_ms_ == 0 ? fmt::format("silent: no value has come since it was started "
                                                  "{} s ago",
                                                  quiet_ms / 1000)
                                    : fmt::format("silent: no value has come for {} s", quiet_ms / 1000),
                     reason),
             1});
        return out;
    }
    if (given_ms_ < created_ms_)
        return out; // it may just have begun
    for (std::uint32_t i = 0; i < has_given_.size(); ++i) {
        const SourcePoint& point = work_.points[i];
        const std::int64_t patience = std::max(least_ms_, intervals * point.config.interval.count());
        if (has_given_[i] != 0 || now_ms - created_ms_ < patience || events.is_failing(Level::point, i) ||
            events.is_failing(Level::device, point.device))
            continue;
        out.push_back(
            {SourceEvent::Kind::problem, Level::point, i, code,
             explain("no value has come for it yet, though others of its source give theirs", reason_for(i)),
             1});
    }
    return out;
}

} // namespace things
