// SPDX-License-Identifier: Apache-2.0
#include "routing/command_lane.hpp"

#include "platform/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// Set-points that fall back when nobody renews them: when a revert is needless, and when it is tried again.
namespace things {

namespace {

// Soon at first, since a safe value is waited for; later not to crowd a bus whose device is gone for days.
constexpr std::int64_t revert_pause_min_ms = 10'000, revert_pause_max_ms = 600'000;

} // namespace

bool CommandLane::has_main(std::uint64_t pack, const std::string& point) const {
    return std::any_of(items_.begin(), items_.end(), [pack, &point](const Item& item) {
        return item.command.pack == pack && item.command.point == point && item.way != Way::look &&
               !is_revert(item.command);
    });
}

void CommandLane::settle_reverts(const RunEnd& end) {
    const auto& command = end.command;
    if (end.was_begun) {
        written_.emplace(command.pack, command.point);
        drop_reverts(command.point, command.pack);
        return;
    }
    // Another record of the same pack wrote the point, or is still to: the revert is its.
    if (written_.count({command.pack, command.point}) != 0 || has_main(command.pack, command.point))
        return;
    auto needless = extract([&command](const Item& item) {
        return is_revert(item.command) && item.command.pack == command.pack &&
               item.command.point == command.point;
    });
    for (auto& item : needless)
        cancel(std::move(item.command), CommandState::expired, "not needed: its command was not carried out");
}

void CommandLane::drop_reverts(const std::string& point, std::uint64_t but_of_pack) {
    auto renewed = extract([this, &point, but_of_pack](const Item& item) {
        return is_revert(item.command) && item.command.point == point && item.command.pack != but_of_pack &&
               !has_main(item.command.pack, point);
    });
    for (auto& item : renewed)
        cancel(std::move(item.command), CommandState::expired, "renewed by a later command");
}

void CommandLane::try_again(Command revert, const std::string& reason) {
    const bool is_first = revert_pause_ms_ == 0;
    revert_pause_ms_ = std::clamp(revert_pause_ms_ * 2, revert_pause_min_ms, revert_pause_max_ms);
    if (is_first)
        log::write(log::Level::warning,
                   fmt::format("{}: {} does not fall back to its safe value: {}; tried again until it does",
                               revert.device, revert.point, reason),
                   {{"DEVICE", revert.device}, {"POINT", revert.point}, {"VERDICT", reason}});
    revert.state = CommandState::waiting;
    revert.verdict.clear();
    revert.ended_wall_ms = 0;
    // Never given up: the safe value is what the operator relies on.
    put({std::move(revert), Way::carry_out, ports_.clock.boot_ms() + revert_pause_ms_});
}

bool CommandLane::has_revert(const std::string& point) const {
    return std::any_of(items_.begin(), items_.end(), [&point](const Item& item) {
        return is_revert(item.command) && item.command.point == point;
    });
}

} // namespace things
