// SPDX-License-Identifier: Apache-2.0
#include "routing/router_core.hpp"

#include "model/downlink.hpp"
#include "model/senml.hpp"
#include "platform/log.hpp"
#include "routing/command_check.hpp"
#include "routing/command_time.hpp"
#include "routing/downlink_parser.hpp"
#include "routing/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// What was asked, by the platform or by hand: parsed, checked, stored, handed to the device's lane.
namespace things {

namespace {

// Two downlinks of the largest size; what is more waits too long to be meant.
constexpr std::size_t most_waiting = 200;

/// For the debug log, which is where each answer has a line however many there are.
std::string summary(const ParsedDownlink& parsed) {
    if (!parsed.reason.empty())
        return "refused: " + parsed.reason;
    if (parsed.downlink)
        return fmt::format("{} records", parsed.downlink->records.size());
    return parsed.foreign != 0 ? "for another device" : "nothing is asked";
}

} // namespace

Receipt Router::Core::receive(const DeviceConfig& device, const char* origin) {
    Receipt receipt;
    receipt.dvnuuid = device.dvnuuid;
    receipt.device = device.name;
    receipt.origin = origin;
    receipt.wall_ms = ports_.clock.wall_ms();
    receipt.boot_ms = ports_.clock.boot_ms();
    receipt.boot_id = ports_.clock.boot_id();
    // Rises over restarts and clock steps, so that "the previous one" has a meaning.
    last_pack_ = std::max<std::uint64_t>(
        last_pack_ + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(receipt.wall_ms, 0)));
    receipt.pack = last_pack_;
    return receipt;
}

void Router::Core::on_answer(const std::string& name, std::string_view body) {
    const auto* device = find_name(name);
    if (device == nullptr)
        return;
    const auto parsed = parse_downlink(body, senml_base_name(device->dvnuuid));
    if (parsed.foreign != 0) {
        counts_.foreign += parsed.foreign;
        if (desk(device->dvnuuid).malformed.take(ports_.clock.boot_ms()))
            log::write(log::Level::warning,
                       fmt::format("{}: ignored {} records of a downlink for another device ({})", name,
                                   parsed.foreign, parsed.foreign_name),
                       {{"DEVICE", name}, {"VERDICT", "foreign"}});
    }
    log::debug("{}: an answer of {} bytes: {}", name, body.size(), summary(parsed));
    if (!parsed.reason.empty())
        on_malformed(*device, desk(device->dvnuuid), parsed.reason);
    else if (parsed.downlink)
        on_downlink(*device, *parsed.downlink);
}

void Router::Core::on_broken_answer(const std::string& name, const std::string& reason) {
    log::debug("{}: an answer that broke off: {}", name, reason);
    if (const auto* device = find_name(name))
        on_malformed(*device, desk(device->dvnuuid), reason);
}

void Router::Core::on_malformed(const DeviceConfig& device, Desk& known, const std::string& reason) {
    ++counts_.malformed;
    refuse(device, known, reason);
}

void Router::Core::refuse(const DeviceConfig& device, Desk& known, const std::string& reason) {
    if (known.malformed.take(ports_.clock.boot_ms()))
        store({make_malformed(receive(device, platform_origin), reason)}, nullptr, false);
}

void Router::Core::on_late_answer(const std::string& dvnuuid, std::string_view body) {
    const auto parsed = parse_downlink(body, senml_base_name(dvnuuid));
    if (parsed.reason.empty() && !parsed.downlink)
        return;
    DeviceConfig removed;
    removed.name = removed.dvnuuid = dvnuuid;
    refuse(removed, desk(dvnuuid), "the configuration no longer has this device");
}

void Router::Core::on_downlink(const DeviceConfig& device, const Downlink& downlink) {
    ++counts_.downlinks;
    auto& known = desk(device.dvnuuid);
    auto facts = context(device);
    if (take_repeat(device, known, downlink, facts))
        return;
    auto checked = check(downlink, device, facts);
    if (known.lane.waiting() + checked.records.size() > most_waiting)
        for (auto& record : checked.records)
            if (record.reason.empty())
                record.reason = "too many commands of this device wait already";
    auto commands = make_commands(checked, receive(device, platform_origin));
    if (!checked.is_any_allowed()) {
        refuse_all(known, std::move(commands));
        return;
    }
    begin_first(commands, device);
    known.previous = previous_pack(commands);
    store(std::move(commands), nullptr, true);
}

void Router::Core::refuse_all(Desk& known, std::vector<Command> commands) {
    const auto dvnuuid = commands.front().dvnuuid;
    known.previous = previous_pack(commands);
    note_refused(commands);
    known.is_fetch_due = true; // before they are told: an outcome that is posted brings the next one
    for (const auto& command : commands)
        tell({command, std::nullopt, false});
    for (const auto& again : known.refusals.fold(commands, ports_.clock.wall_ms(), ports_.clock.boot_ms()))
        ports_.store.update(again, [](bool) {});
    if (commands.empty()) {
        // Not from within the answer, which is not settled yet.
        ports_.after(Milliseconds(0), [this, dvnuuid, alive = std::weak_ptr<bool>(alive_)] {
            if (!alive.expired())
                fetch_if_due(dvnuuid);
        });
        return;
    }
    ports_.store.store(std::move(commands), [this, dvnuuid, alive = std::weak_ptr<bool>(alive_)](
                                                const std::vector<Command>& stored, bool /*durable*/) {
        if (alive.expired())
            return;
        desk(dvnuuid).refusals.remember(stored);
        fetch_if_due(dvnuuid);
    });
}

/// A command that may begin at once is stored as begun: one commit before its write instead of two, and a
/// commit takes an SD card longer than all the rest. Not where a step is to be measured first.
void Router::Core::begin_first(std::vector<Command>& commands, const DeviceConfig& device) {
    const auto& known = desk(device.dvnuuid);
    const bool is_measured = std::any_of(commands.begin(), commands.end(), [&device](const Command& command) {
        const auto* point = find_point(device, command.point);
        return point != nullptr && point->writable && point->writable->max_step;
    });
    const auto first = std::find_if(commands.begin(), commands.end(), [](const Command& command) {
        return !is_ended(command.state) && !is_revert(command);
    });
    if (known.lane.is_free() && known.stores == 0 && !is_measured && first != commands.end() &&
        first->delay_ms <= 0)
        first->state = CommandState::begun;
}

/// Whether this is the previous downlink once more; if so, its outcome is sent again and nothing is written.
bool Router::Core::take_repeat(const DeviceConfig& device, Desk& known, const Downlink& downlink,
                               CheckContext& facts) {
    if (!was_taken_up(known.previous))
        return false;
    auto timeless = facts;
    timeless.since_write_ms.clear(); // its own first write must not make the repetition a refusal
    const auto checked = check(downlink, device, timeless);
    const auto passed = elapsed_ms(known.previous.front(), ports_.clock, facts.clock_trusted);
    if (!passed || !checked.is_any_allowed() ||
        !is_repeat(checked.records, known.previous, *passed, facts.now_wall_ms))
        return false;
    // A set-point that has fallen back in between is asked for anew.
    for (const auto& record : checked.records) {
        const auto& revert = record.config->writable->revert;
        if (revert && !is_same(*record.config, record.value, revert->to) &&
            !known.lane.has_revert(record.point))
            return false;
    }
    const auto& first = known.previous.front();
    auto verdict = fmt::format("the same as {} s ago, not repeated; then: {}", *passed / 1000,
                               first.verdict.empty() ? "not ended yet" : first.verdict);
    store(make_repeated(checked, receive(device, platform_origin), verdict), nullptr, true);
    return true;
}

void Router::Core::store(std::vector<Command> commands, LocalHandler handler, bool is_downlink) {
    auto& known = desk(commands.front().dvnuuid);
    known.is_fetch_due = known.is_fetch_due || is_downlink;
    ++known.stores;
    for (const auto& command : commands)
        if (is_ended(command.state) && command.state != CommandState::repeated)
            tell({command, std::nullopt, false});
    ports_.store.store(std::move(commands),
                       [this, handler = std::move(handler), is_downlink,
                        alive = std::weak_ptr<bool>(alive_)](std::vector<Command> stored, bool /*durable*/) {
                           if (!alive.expired())
                               on_stored(std::move(stored), handler, is_downlink);
                       });
}

void Router::Core::on_stored(std::vector<Command> commands, const LocalHandler& handler, bool is_downlink) {
    if (commands.empty())
        return;
    const auto dvnuuid = commands.front().dvnuuid;
    auto& known = desk(dvnuuid);
    --known.stores;
    if (is_downlink && commands.front().state != CommandState::repeated)
        known.previous = previous_pack(commands);
    const bool is_pending =
        !known.previous.empty() && std::any_of(known.previous.begin(), known.previous.end(),
                                               [](const Command& c) { return !is_ended(c.state); });
    if (handler)
        local_[commands.front().id] = handler;
    bool is_soon = false; // whether the bus will have something to tell
    std::vector<Command> to_do, refused;
    for (auto& command : commands) {
        if (!is_ended(command.state)) {
            is_soon = is_soon || command.delay_ms <= 0;
            if (stopped_ && command.state == CommandState::begun) { // it never will in this run
                command.state = CommandState::waiting;
                ports_.store.update(command, [](bool) {});
            }
            to_do.push_back(std::move(command));
        } else if (command.state == CommandState::repeated && !command.point.empty()) {
            count(command.state);
            write_audit_line(command);
            known.lane.drop_reverts(command.point, command.pack);
            is_soon = true;
            if (!is_pending)
                known.lane.look(std::move(command));
        } else if (is_downlink) {
            refused.push_back(std::move(command));
        } else {
            on_end({std::move(command), std::nullopt, false});
        }
    }
    note_refused(refused);
    known.lane.add(std::move(to_do));
    if (is_soon)
        ports_.after(outcome_patience, [this, dvnuuid, alive = std::weak_ptr<bool>(alive_)] {
            if (!alive.expired())
                fetch_if_due(dvnuuid);
        });
    else
        fetch_if_due(dvnuuid);
}

void Router::Core::fetch_if_due(const std::string& dvnuuid) {
    if (std::exchange(desk(dvnuuid).is_fetch_due, false))
        fetch_next(dvnuuid);
}

void Router::Core::fetch_next(const std::string& dvnuuid) {
    auto& known = desk(dvnuuid);
    const auto* device = find_device(dvnuuid);
    if (device == nullptr || stopped_ || known.is_fetch_pending)
        return;
    const auto now = ports_.clock.boot_ms();
    if (known.fetches.take(now)) {
        ++counts_.fetches;
        ports_.fetch_next(device->name);
        return;
    }
    ++counts_.fetches_delayed;
    known.is_fetch_pending = true;
    ports_.after(Milliseconds(known.fetches.wait_ms(now)),
                 [this, dvnuuid, alive = std::weak_ptr<bool>(alive_)] {
                     if (alive.expired())
                         return;
                     desk(dvnuuid).is_fetch_pending = false;
                     fetch_next(dvnuuid);
                 });
}

void Router::Core::write_local(const std::string& name, const std::string& point, const std::string& text,
                               LocalHandler handler) {
    const auto* device = find_name(name);
    const auto* config = device != nullptr ? find_point(*device, point) : nullptr;
    if (config == nullptr || stopped_) {
        handler(stopped_            ? "the gateway is stopping"
                : device == nullptr ? fmt::format("there is no device '{}'", name)
                                    : fmt::format("'{}' has no point '{}'", name, point),
                stopped_ ? LocalEnd::failed : LocalEnd::unknown);
        return;
    }
    const auto facts = context(*device);
    Downlink downlink;
    auto& record = downlink.records.emplace_back();
    record.name = point;
    record.value = value_from_text(*config, kind_of(*config, ports_.bus.last(name, point)), text);
    auto commands = make_commands(check(downlink, *device, facts), receive(*device, local_origin));
    begin_first(commands, *device);
    store(std::move(commands), std::move(handler), false);
}

} // namespace things
