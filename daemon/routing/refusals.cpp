// SPDX-License-Identifier: Apache-2.0
#include "routing/refusals.hpp"

#include "routing/command_check.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

constexpr std::size_t most_kept = 100, most_named = 3;
constexpr std::uint64_t few = 2;
constexpr std::int64_t store_every_ms = 60'000;

bool is_unknown_point(const Command& command) {
    return command.verdict == std::string("refused: ") + no_such_point;
}

bool says_the_same(const Command& a, const Command& b) {
    return a.point == b.point && a.value == b.value && a.verdict == b.verdict;
}

/// All unknown points of one downlink as one command that names the first few.
void join_unknown(std::vector<Command>& refused) {
    const auto first = std::find_if(refused.begin(), refused.end(), is_unknown_point);
    if (first == refused.end())
        return;
    std::size_t more = 0;
    std::string names;
    for (auto at = first + 1; at != refused.end(); ++at) {
        if (!is_unknown_point(*at))
            continue;
        if (more++ < most_named)
            names += (names.empty() ? "" : ", ") + at->point;
    }
    if (more == 0)
        return;
    refused.erase(std::remove_if(first + 1, refused.end(), is_unknown_point), refused.end());
    first->verdict += fmt::format("; nor {} more: {}{}", more, names, more > most_named ? ", ..." : "");
}

} // namespace

std::vector<Command> Refusals::fold(std::vector<Command>& refused, std::int64_t now_wall_ms,
                                    std::int64_t now_boot_ms) {
    join_unknown(refused);
    std::vector<Command> again;
    std::vector<Command> fresh;
    for (Command& command : refused) {
        const auto same = [&command](const Command& other) {
            return says_the_same(command, other);
        };
        const auto kept = std::find_if(kept_.begin(), kept_.end(),
                                       [&same](const Kept& known) { return same(known.command); });
        if (kept == kept_.end()) {
            if (std::none_of(fresh.begin(), fresh.end(), same))
                fresh.push_back(std::move(command));
            continue;
        }
        ++kept->times;
        kept->last_wall_ms = now_wall_ms;
        if (kept->times > few && now_boot_ms - kept->stored_boot_ms < store_every_ms)
            continue;
        kept->stored_boot_ms = now_boot_ms;
        again.push_back(kept->command);
        again.back().ended_wall_ms = now_wall_ms;
        again.back().verdict += fmt::format(" ({} times, the last at {:%Y-%m-%d %H:%M:%S} UTC)", kept->times,
                                            fmt::gmtime(static_cast<std::time_t>(now_wall_ms / 1000)));
    }
    refused = std::move(fresh);
    return again;
}

void Refusals::remember(const std::vector<Command>& stored) {
    for (const Command& command : stored)
        if (command.state == CommandState::refused)
            kept_.push_back({command, 1, command.ended_wall_ms, 0});
    while (kept_.size() > most_kept)
        kept_.pop_front();
}

} // namespace things
