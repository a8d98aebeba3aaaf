// SPDX-License-Identifier: Apache-2.0
#include "routing/history.hpp"

#include "routing/command_run.hpp"
#include "routing/command_time.hpp"
#include "routing/values.hpp"

#include <algorithm>

namespace things {

namespace {

Command start_command(const Receipt& receipt) {
    Command command;
    command.pack = receipt.pack;
    command.dvnuuid = receipt.dvnuuid;
    command.device = receipt.device;
    command.origin = receipt.origin;
    command.received_wall_ms = receipt.wall_ms;
    command.received_boot_ms = receipt.boot_ms;
    command.boot_id = receipt.boot_id;
    return command;
}

void end_command(Command& command, CommandState state, const std::string& verdict) {
    command.state = state;
    command.verdict = verdict;
    command.ended_wall_ms = command.received_wall_ms;
}

Command make_command(const CheckedRecord& record, const Receipt& receipt) {
    auto command = start_command(receipt);
    command.point = record.point;
    command.value = record.value;
    command.delay_ms = record.delay_ms;
    if (record.config != nullptr && record.config->writable)
        command.ttl_ms = record.config->writable->ttl.count();
    return command;
}

/// The reverts of the last allowed command of each point, so that none is stored twice.
void add_reverts(const Checked& checked, const Receipt& receipt, std::vector<Command>& commands) {
    std::map<std::string, const CheckedRecord*> last;
    for (const auto& record : checked.records)
        if (record.reason.empty())
            last[record.point] = &record;
    for (const auto& [point, record] : last) {
        const auto& revert = record->config->writable->revert;
        // A command to the safe value itself leaves nothing to fall back from.
        if (!revert || is_same(*record->config, record->value, revert->to))
            continue;
        auto command = start_command(receipt);
        command.origin = revert_origin;
        command.point = point;
        command.value = without_label(*record->config, revert->to);
        command.delay_ms = std::max<std::int64_t>(record->delay_ms, 0) + revert->after.count();
        command.ttl_ms = command_forever_ms;
        commands.push_back(std::move(command));
    }
}

bool is_same_target(const Command& a, const Command& b) {
    return a.point == b.point && a.dvnuuid == b.dvnuuid;
}

/// Whether a command wrote, or may have.
bool has_begun(const Command& command) {
    return command.state == CommandState::begun || command.state == CommandState::done ||
           command.state == CommandState::failed;
}

std::string why_not_revert(const Command& revert, const std::vector<Command>& all) {
    bool is_known = false, is_wanted = false;
    for (const auto& other : all) {
        if (is_revert(other) || !is_same_target(other, revert))
            continue;
        const bool is_renewal = other.state == CommandState::repeated;
        if (other.pack == revert.pack) {
            is_known = true;
            is_wanted |= has_begun(other) || is_renewal || other.state == CommandState::waiting;
        } else if (other.id > revert.id && (has_begun(other) || is_renewal))
            return "renewed by a later command";
    }
    return is_known && !is_wanted ? "not needed: its command was not carried out" : std::string();
}

std::string why_not_command(const Command& command, const std::vector<Command>& audit, bool is_atomic) {
    if (!is_atomic || command.state != CommandState::waiting)
        return {};
    for (const auto& other : audit)
        if (is_ended(other.state) && other.pack == command.pack && other.origin == command.origin &&
            other.id < command.id && other.state != CommandState::done)
            return "not carried out: '" + other.point + "' of the same downlink was not done";
    return {};
}

} // namespace

std::vector<Command> make_commands(const Checked& checked, const Receipt& receipt) {
    std::vector<Command> commands;
    for (const auto& record : checked.records) {
        auto command = make_command(record, receipt);
        if (!record.reason.empty())
            end_command(command, record.expired ? CommandState::expired : CommandState::refused,
                        "refused: " + record.reason);
        commands.push_back(std::move(command));
    }
    add_reverts(checked, receipt, commands);
    return commands;
}

Command make_malformed(const Receipt& receipt, const std::string& reason) {
    auto command = start_command(receipt);
    command.value = std::string();
    end_command(command, CommandState::refused, "refused: " + reason);
    return command;
}

std::vector<Command> make_repeated(const Checked& checked, const Receipt& receipt,
                                   const std::string& verdict) {
    std::vector<Command> commands;
    for (const auto& record : checked.records) {
        auto command = make_command(record, receipt);
        end_command(command, CommandState::repeated, verdict);
        commands.push_back(std::move(command));
    }
    add_reverts(checked, receipt, commands);
    return commands;
}

std::vector<Command> previous_pack(const std::vector<Command>& commands) {
    const auto counts = [](const Command& c) {
        return c.origin == platform_origin && !c.point.empty();
    };
    std::uint64_t newest = 0;
    for (const auto& command : commands)
        // What was a repetition itself is not what the next downlink is compared with.
        if (counts(command) && command.state != CommandState::repeated)
            newest = std::max(newest, command.pack);
    std::vector<Command> pack;
    for (const auto& command : commands)
        if (counts(command) && command.pack == newest)
            pack.push_back(command);
    std::stable_sort(pack.begin(), pack.end(),
                     [](const Command& a, const Command& b) { return a.id < b.id; });
    return pack;
}

bool was_taken_up(const std::vector<Command>& pack) {
    return std::any_of(pack.begin(), pack.end(), [](const Command& command) {
        return has_begun(command) || command.state == CommandState::waiting;
    });
}

std::map<std::string, std::int64_t> last_writes(const std::vector<Command>& audit, const Clock& clock) {
    std::map<std::string, std::int64_t> last;
    for (const auto& command : audit) {
        if (!has_begun(command) || !is_ended(command.state))
            continue;
        const auto ago = std::max<std::int64_t>(clock.wall_ms() - command.ended_wall_ms, 0);
        const auto [at, is_new] = last.try_emplace(command.point, clock.boot_ms() - ago);
        if (!is_new)
            at->second = std::max(at->second, clock.boot_ms() - ago);
    }
    return last;
}

std::vector<Resumed> resume(const std::vector<Command>& unfinished, const std::vector<Command>& audit,
                            bool is_atomic) {
    auto all = audit;
    all.insert(all.end(), unfinished.begin(), unfinished.end());
    std::vector<Resumed> resumed;
    // Commands before reverts: one that is dropped here leaves nothing to fall back from.
    for (const auto& command : unfinished) {
        if (is_revert(command))
            continue;
        resumed.push_back({command, why_not_command(command, audit, is_atomic)});
        if (!resumed.back().cancel.empty())
            for (auto& known : all)
                if (known.id == command.id)
                    known.state = CommandState::refused;
    }
    for (const auto& command : unfinished)
        if (is_revert(command))
            resumed.push_back({command, command.state == CommandState::waiting ? why_not_revert(command, all)
                                                                               : std::string()});
    return resumed;
}

} // namespace things
