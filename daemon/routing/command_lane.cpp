// SPDX-License-Identifier: Apache-2.0
#include "routing/command_lane.hpp"

#include "platform/log.hpp"
#include "routing/command_time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace things {

namespace {

// Nobody tells when the clock is set.
constexpr std::int64_t unknown_time_pause_ms = 1000;
// The timers of the loop stand still while the machine is suspended, CLOCK_BOOTTIME does not.
constexpr std::int64_t longest_sleep_ms = std::int64_t{3600} * 1000;

} // namespace

CommandLane::CommandLane(RunPorts& ports, CommandLaneHost& host, std::string dvnuuid)
    : ports_(ports), host_(host), dvnuuid_(std::move(dvnuuid)) {}

std::vector<CommandLane::Item> CommandLane::extract(const std::function<bool(const Item&)>& match) {
    const auto rest = std::stable_partition(items_.begin(), items_.end(),
                                            [&match](const Item& item) { return !match(item); });
    std::vector<Item> out(std::make_move_iterator(rest), std::make_move_iterator(items_.end()));
    items_.erase(rest, items_.end());
    return out;
}

void CommandLane::put(Item item) {
    // By id, which is the order of arrival: what is due at the same time runs in it.
    const auto at = std::upper_bound(items_.begin(), items_.end(), item, [](const Item& a, const Item& b) {
        return a.command.id < b.command.id;
    });
    items_.insert(at, std::move(item));
}

void CommandLane::add(std::vector<Command> commands) {
    for (auto& command : commands)
        put({std::move(command), Way::carry_out, 0});
    proceed();
}

void CommandLane::resume(std::vector<Command> commands) {
    for (auto& command : commands) {
        const auto way = command.state == CommandState::begun ? Way::verify : Way::carry_out;
        put({std::move(command), way, 0});
    }
    proceed();
}

void CommandLane::look(Command command) {
    put({std::move(command), Way::look, 0});
    proceed();
}

void CommandLane::proceed() {
    if (stopped_)
        return;
    end_what_is_over();
    if (!busy_) {
        if (const auto item = find_due(); item != items_.end()) {
            take(item);
            return;
        }
    }
    arm();
}

void CommandLane::end_what_is_over() {
    auto over = extract([this](const Item& item) {
        return item.way == Way::carry_out &&
               command_time(item.command, ports_.clock, ports_.is_clock_trusted()).state ==
                   CommandTime::State::over;
    });
    for (auto& item : over) {
        item.command.state = CommandState::expired;
        item.command.verdict = "expired before it could begin";
        item.command.ended_wall_ms = ports_.clock.wall_ms();
        settle({std::move(item.command), std::nullopt, false});
    }
}

std::vector<CommandLane::Item>::iterator CommandLane::find_due() {
    return std::find_if(items_.begin(), items_.end(), [this](const Item& item) {
        return item.way != Way::carry_out || wake_in(item) == 0;
    });
}

/// Time until something is to be done about an item; 0: it may begin now.
std::int64_t CommandLane::wake_in(const Item& item) const {
    const auto pause = item.not_before_boot_ms - ports_.clock.boot_ms();
    if (pause > 0)
        return pause;
    const auto time = command_time(item.command, ports_.clock, ports_.is_clock_trusted());
    switch (time.state) {
    case CommandTime::State::early:
        return time.in_ms;
    case CommandTime::State::unknown:
        return unknown_time_pause_ms;
    case CommandTime::State::due:
    case CommandTime::State::over:
        break;
    }
    return 0;
}

void CommandLane::arm() {
    auto wait = longest_sleep_ms;
    for (const auto& item : items_) {
        auto in = item.way == Way::carry_out ? wake_in(item) : longest_sleep_ms;
        if (in == 0) // the lane is busy: wake when the time is over, so that somebody waiting hears of it
            in = command_time(item.command, ports_.clock, ports_.is_clock_trusted()).in_ms + 1;
        wait = std::min(wait, in);
    }
    const auto at = ports_.clock.boot_ms() + wait;
    // A timer that fires sooner is enough: it arms the next one.
    if (items_.empty() || (armed_boot_ms_ <= at && armed_boot_ms_ > ports_.clock.boot_ms()))
        return;
    armed_boot_ms_ = at;
    ports_.after(Milliseconds(wait), [this, at, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired())
            return;
        if (armed_boot_ms_ == at)
            armed_boot_ms_ = INT64_MAX;
        proceed();
    });
}

void CommandLane::take(std::vector<Item>::iterator item) {
    busy_ = true;
    auto taken = std::move(*item);
    items_.erase(item);
    if (taken.way == Way::carry_out) {
        carry_out(std::move(taken.command));
        return;
    }
    const auto* device = host_.find_device(dvnuuid_);
    // Not for permission: what was begun is read back even if writes are switched off meanwhile.
    const CheckedRecord checked = device != nullptr
                                      ? check_again(taken.command, *device, host_.context(*device), true)
                                      : CheckedRecord();
    if (checked.config != nullptr && checked.config->writable) {
        run(std::move(taken.command), *checked.config, taken.way);
        return;
    }
    RunEnd end{std::move(taken.command), std::nullopt, taken.way == Way::verify};
    if (taken.way == Way::verify) {
        end.command.state = CommandState::failed;
        end.command.verdict = "the gateway went down while it was written, and its point is gone";
    }
    on_run_end(std::move(end));
}

void CommandLane::carry_out(Command command) {
    const auto* device = host_.find_device(dvnuuid_);
    const auto state = command.state;
    RunEnd refusal{std::move(command), std::nullopt, false};
    refusal.command.state = CommandState::refused;
    refusal.command.ended_wall_ms = ports_.clock.wall_ms();
    if (device == nullptr) {
        refusal.command.verdict = "refused: the device is no longer configured";
        on_run_end(std::move(refusal));
        return;
    }
    const auto context = host_.context(*device);
    const auto checked = check_again(refusal.command, *device, context, is_revert(refusal.command));
    if (!checked.reason.empty()) {
        refusal.command.verdict = "refused: " + checked.reason;
        // A set-point falls back as soon as it may, not never.
        if (is_revert(refusal.command) && checked.config != nullptr && checked.config->writable &&
            !is_switched_on(*checked.config, context))
            refusal.command.state = CommandState::failed;
        on_run_end(std::move(refusal));
        return;
    }
    refusal.command.state = state;
    refusal.command.ended_wall_ms = 0;
    refusal.command.value = checked.value;
    if (!begin_step_check(refusal.command, *device))
        run(std::move(refusal.command), *checked.config, Way::carry_out);
}

/// The first command of an atomic downlink waits until the steps of all that are due were measured.
bool CommandLane::begin_step_check(const Command& command, const DeviceConfig& device) {
    if (is_revert(command) || device.commands != CommandMode::atomic ||
        !step_checked_.insert(command.pack).second)
        return false;
    std::vector<StepCheck::Item> steps;
    std::size_t size = 1;
    const auto add = [&steps, &device](const Command& c) {
        for (const auto& point : device.points)
            if (point.name == c.point && point.writable && point.writable->max_step)
                steps.push_back({c, point});
    };
    add(command);
    for (const auto& item : items_)
        if (item.command.pack == command.pack && item.way == Way::carry_out && !is_revert(item.command) &&
            wake_in(item) == 0) {
            add(item.command);
            ++size;
        }
    if (size == 1 || steps.empty())
        return false;
    put({command, Way::carry_out, 0});
    step_check_ = std::make_shared<StepCheck>(
        ports_, std::move(steps),
        [this](const Command* refused, const std::string& reason) { on_step_checked(refused, reason); });
    const auto step_check = step_check_; // it may end, and be let go, before begin returns
    step_check->begin();
    return true;
}

void CommandLane::on_step_checked(const Command* refused, const std::string& reason) {
    step_check_.reset();
    busy_ = false;
    if (refused != nullptr) {
        auto culprits = extract([refused](const Item& item) { return item.command.id == refused->id; });
        for (auto& culprit : culprits) {
            culprit.command.state = CommandState::refused;
            culprit.command.verdict = "refused: " + reason;
            culprit.command.ended_wall_ms = ports_.clock.wall_ms();
            settle({std::move(culprit.command), std::nullopt, false});
        }
    }
    proceed();
}

void CommandLane::run(Command command, const PointConfig& point, Way way) {
    run_ = std::make_shared<CommandRun>(ports_, std::move(command), point,
                                        [this](RunEnd end) { on_run_end(std::move(end)); });
    const auto run = run_; // it may end, and be let go, before this returns
    switch (way) {
    case Way::carry_out:
        run->begin();
        break;
    case Way::verify:
        run->verify();
        break;
    case Way::look:
        run->read_only();
        break;
    }
}

void CommandLane::on_run_end(RunEnd end) {
    run_.reset();
    busy_ = false;
    settle(std::move(end));
    proceed();
}

void CommandLane::settle(RunEnd end) {
    // It ended before: only what the point reads is news.
    if (end.command.state == CommandState::repeated) {
        host_.tell(end);
        return;
    }
    if (is_revert(end.command)) {
        if (end.command.state == CommandState::failed) {
            const auto reason = end.command.verdict;
            try_again(std::move(end.command), reason);
            return;
        }
        revert_pause_ms_ = 0;
        store_end(std::move(end));
        return;
    }
    const auto command = end.command;
    settle_reverts(end);
    store_end(std::move(end));
    if (command.state != CommandState::done)
        refuse_rest(command);
    forget(command.pack);
}

void CommandLane::store_end(RunEnd end) {
    host_.tell(end);
    const auto command = end.command;
    ports_.store.update(command, [this, end = std::move(end), alive = std::weak_ptr<bool>(alive_)](bool) {
        if (!alive.expired())
            host_.on_end(end);
    });
}

void CommandLane::cancel(Command command, CommandState state, const std::string& verdict) {
    command.state = state;
    command.verdict = verdict;
    command.ended_wall_ms = ports_.clock.wall_ms();
    const RunEnd end{std::move(command), std::nullopt, false};
    if (!is_revert(end.command))
        settle_reverts(end);
    store_end(end);
}

void CommandLane::refuse_rest(const Command& culprit) {
    const auto* device = host_.find_device(dvnuuid_);
    if (device == nullptr || device->commands != CommandMode::atomic)
        return;
    auto rest = extract([&culprit](const Item& item) {
        return item.command.pack == culprit.pack && item.way == Way::carry_out && !is_revert(item.command);
    });
    for (auto& item : rest)
        cancel(std::move(item.command), CommandState::refused,
               fmt::format("not carried out: '{}' of the same downlink was not done", culprit.point));
}

void CommandLane::forget(std::uint64_t pack) {
    for (const auto& item : items_)
        if (item.command.pack == pack && !is_revert(item.command))
            return;
    // Nothing of the pack is left that could ask.
    step_checked_.erase(pack);
    written_.erase(written_.lower_bound({pack, std::string()}),
                   written_.lower_bound({pack + 1, std::string()}));
}

} // namespace things
