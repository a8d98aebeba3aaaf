// SPDX-License-Identifier: Apache-2.0
#include "delivery/schedule.hpp"

namespace things {

void UploadSchedule::set_due(DeviceId device, std::int64_t when_ms) {
    if (const auto found = places_.find(device);
        found != places_.end() && !found->second.is_ready && found->second.when_ms == when_ms)
        return;
    // A device stands in one place only.
    forget(device);
    places_[device] = {false, Rank::first, when_ms, 0};
    due_.emplace(when_ms, device);
}

void UploadSchedule::set_ready(DeviceId device, Rank rank) {
    if (const auto found = places_.find(device);
        found != places_.end() && found->second.is_ready && found->second.rank == rank)
        return;
    forget(device);
    places_[device] = {true, rank, 0, ++tickets_};
    Line& line = rank == Rank::first ? first_ : second_;
    line.emplace_back(device, tickets_);
    ++ready_;
    // In an outage nobody takes from the lines, while devices may change theirs for days.
    if (line.size() > 2 * places_.size() + 16)
        std::erase_if(line, [this](const auto& entry) { return is_left_behind(entry); });
}

void UploadSchedule::forget(DeviceId device) {
    const auto found = places_.find(device);
    if (found == places_.end())
        return;
    if (found->second.is_ready)
        --ready_; // its entry in the line is skipped when its turn comes
    else
        due_.erase({found->second.when_ms, device});
    places_.erase(found);
}

std::optional<DeviceId> UploadSchedule::pop_due(std::int64_t now_ms) {
    if (due_.empty() || due_.begin()->first > now_ms)
        return std::nullopt;
    const DeviceId device = due_.begin()->second;
    forget(device);
    return device;
}

std::optional<std::int64_t> UploadSchedule::next_due_ms() const {
    return due_.empty() ? std::nullopt : std::optional(due_.begin()->first);
}

bool UploadSchedule::is_left_behind(const Line::value_type& entry) const {
    const auto found = places_.find(entry.first);
    return found == places_.end() || !found->second.is_ready || found->second.ticket != entry.second;
}

std::optional<DeviceId> UploadSchedule::pop(Line& line) {
    while (!line.empty()) {
        const auto entry = line.front();
        line.pop_front();
        if (is_left_behind(entry))
            continue;
        places_.erase(entry.first);
        --ready_;
        return entry.first;
    }
    return std::nullopt;
}

std::optional<DeviceId> UploadSchedule::pop_ready() {
    constexpr int most_in_a_row = 3;
    // Live readings must not hold up the backlog of other devices for ever: a fleet that is behind always has
    // some due.
    if (first_in_a_row_ >= most_in_a_row) {
        first_in_a_row_ = 0;
        if (const auto device = pop(second_))
            return device;
    }
    if (const auto device = pop(first_)) {
        ++first_in_a_row_;
        return device;
    }
    first_in_a_row_ = 0;
    return pop(second_);
}

} // namespace things
