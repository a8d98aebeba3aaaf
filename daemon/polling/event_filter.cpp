// SPDX-License-Identifier: Apache-2.0
#include "polling/event_filter.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {
constexpr std::size_t most_a_minute = 10;
constexpr std::int64_t minute_ms = 60'000;
} // namespace

bool EventFilter::Allowance::take(std::int64_t now_ms) {
    while (!spent.empty() && now_ms - spent.front() >= minute_ms)
        spent.pop_front();
    if (spent.size() >= most_a_minute)
        return false;
    spent.push_back(now_ms);
    return true;
}

std::vector<SourceEvent> EventFilter::feed(SourceEvent event, std::int64_t now_ms) {
    std::vector<SourceEvent> out;
    if (event.kind == SourceEvent::Kind::note) {
        if (!notes_.take(now_ms)) {
            ++notes_dropped_;
            return out;
        }
        if (notes_dropped_ > 0)
            event.text += fmt::format(" ({} notes before it were left out)", notes_dropped_);
        notes_dropped_ = 0;
        out.push_back(std::move(event));
        return out;
    }
    const Key key(event.level, event.index);
    if (event.kind == SourceEvent::Kind::recovered) {
        const auto place = subjects_.find(key);
        if (place == subjects_.end() || !place->second.failing)
            return out;
        place->second.failing = false;
        place->second.text = std::move(event.text);
        show(key, place->second, now_ms, out);
        return out;
    }
    Subject& subject = subjects_[key];
    if (!subject.failing)
        subject.count = 0;
    ++subject.count;
    subject.failing = true;
    subject.code = std::move(event.code);
    subject.text = std::move(event.text);
    show(key, subject, now_ms, out);
    return out;
}

void EventFilter::show(const Key& key, Subject& subject, std::int64_t now_ms, std::vector<SourceEvent>& out) {
    const std::string& present = subject.failing ? subject.code : std::string();
    // Repetition, or a change and back while it waited: nobody was told, so nothing is to be told.
    if (subject.shown == present)
        return;
    if (!subject.allowance.take(now_ms)) {
        if (std::find(waiting_.begin(), waiting_.end(), key) == waiting_.end())
            waiting_.push_back(key);
        return;
    }
    SourceEvent event;
    event.kind = subject.failing ? SourceEvent::Kind::problem : SourceEvent::Kind::recovered;
    event.level = key.first;
    event.index = key.second;
    event.code = subject.code;
    event.text = subject.text;
    event.count = subject.count;
    subject.shown = present;
    out.push_back(std::move(event));
}

std::vector<SourceEvent> EventFilter::due(std::int64_t now_ms) {
    std::vector<SourceEvent> out;
    if (waiting_.empty())
        return out;
    const std::vector<Key> waiting = std::move(waiting_);
    waiting_.clear();
    for (const Key& key : waiting)
        show(key, subjects_[key], now_ms, out);
    return out;
}

bool EventFilter::is_failing(Level level, std::uint32_t index) const {
    return failure(level, index).has_value();
}

std::optional<EventFilter::Failure> EventFilter::failure(Level level, std::uint32_t index) const {
    const auto place = subjects_.find(Key(level, index));
    if (place == subjects_.end() || !place->second.failing)
        return std::nullopt;
    return Failure{place->second.code, place->second.text};
}

bool EventFilter::has_failures() const {
    return std::any_of(subjects_.begin(), subjects_.end(),
                       [](const auto& subject) { return subject.second.failing; });
}

} // namespace things
