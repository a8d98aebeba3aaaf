// SPDX-License-Identifier: Apache-2.0
#include "routing/router_core.hpp"

#include "platform/log.hpp"
#include "routing/values.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

void Router::Core::on_end(const RunEnd& end) {
    const auto& command = end.command;
    auto& known = desk(command.dvnuuid);
    for (auto& previous : known.previous)
        if (previous.id == command.id)
            previous = command;
    if (command.state != CommandState::repeated) {
        if (!command.point.empty()) // else it was no downlink, and is counted as malformed
            count(command.state);
        write_audit_line(command);
    }
    if (const auto local = local_.find(command.id); local != local_.end()) {
        const auto handler = std::move(local->second);
        local_.erase(local);
        const LocalEnd how = command.state == CommandState::done ? LocalEnd::done
                             : end.was_silent                    ? LocalEnd::silent
                                                                 : LocalEnd::failed;
        handler(fmt::format("{}: {}", command.point, command.verdict), how);
    }
}

/// Hands an outcome over. It is posted at once while the device has posts left.
void Router::Core::send_up(const std::string& dvnuuid, Outcome outcome) {
    auto& known = desk(dvnuuid);
    outcome.urgent = known.fetches.take(ports_.clock.boot_ms());
    if (outcome.urgent)
        known.is_fetch_due = false;
    ports_.on_outcome(std::move(outcome));
}

/// Sends up what happened: the value read back, and in words where the point has a name for that.
void Router::Core::tell(const RunEnd& end) {
    const auto& command = end.command;
    // Here, not when its end is stored: the next command of the lane begins before that.
    if (end.was_begun)
        desk(command.dvnuuid).writes[command.point] = ports_.clock.boot_ms();
    const auto* device = find_device(command.dvnuuid);
    const auto* point = device != nullptr ? find_point(*device, command.point) : nullptr;
    if (point == nullptr)
        return;
    if (command.after && end.read_at)
        send_up(command.dvnuuid, {device->name, point->name, point->unit, *command.after, *end.read_at});
    const bool is_dropped_revert = is_revert(command) && !end.was_begun;
    if (!point->writable || point->writable->outcome.empty() || is_dropped_revert)
        return;
    const auto now = is_clock_trusted() ? Stamp{ports_.clock.wall_ms(), Stamp::Clock::wall}
                                        : Stamp{ports_.clock.boot_ms(), Stamp::Clock::boot};
    const auto words = is_revert(command) ? "fell back: " + command.verdict : command.verdict;
    send_up(command.dvnuuid, {device->name, point->writable->outcome, {}, words, end.read_at.value_or(now)});
}

void Router::Core::count(CommandState state) {
    switch (state) {
    case CommandState::done:
        ++counts_.done;
        break;
    case CommandState::failed:
        ++counts_.failed;
        break;
    case CommandState::expired:
        ++counts_.expired;
        break;
    case CommandState::refused:
        ++counts_.refused;
        break;
    case CommandState::repeated:
        ++counts_.repeated;
        break;
    case CommandState::waiting:
    case CommandState::begun:
        break;
    }
}

void Router::Core::note_refused(const std::vector<Command>& refused) {
    for (const auto& command : refused)
        count(command.state);
    if (refused.size() == 1)
        write_audit_line(refused.front());
    if (refused.size() < 2)
        return;
    const auto& first = refused.front();
    log::write(log::Level::warning,
               fmt::format("{}: {} commands of one downlink ({}) were not allowed; the first, for {}: {}",
                           first.device, refused.size(), first.origin, first.point, first.verdict),
               {{"DEVICE", first.device},
                {"POINT", first.point},
                {"ORIGIN", first.origin},
                {"STATE", name_of(first.state)},
                {"VERDICT", first.verdict}});
}

void Router::Core::write_audit_line(const Command& command) const {
    const auto* device = find_device(command.dvnuuid);
    const auto* found = device != nullptr ? find_point(*device, command.point) : nullptr;
    const PointConfig point = found != nullptr ? *found : PointConfig();
    const auto words = [&point](const std::optional<Value>& value) {
        return value ? in_words(point, *value) : std::string();
    };
    const auto asked = in_words(point, command.value), before = words(command.before),
               after = words(command.after), id = std::to_string(command.id);
    const bool is_well =
        command.state == CommandState::done || command.state == CommandState::repeated || is_revert(command);
    log::write(is_well ? log::Level::info : log::Level::warning,
               fmt::format("{}: command for {} ({}): {}", command.device,
                           command.point.empty() ? "no point" : command.point, command.origin,
                           command.verdict),
               {{"DEVICE", command.device},
                {"POINT", command.point},
                {"COMMAND", id},
                {"ORIGIN", command.origin},
                {"STATE", name_of(command.state)},
                {"VALUE", asked},
                {"BEFORE", before},
                {"AFTER", after},
                {"VERDICT", command.verdict}});
}

} // namespace things
