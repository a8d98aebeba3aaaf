// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/work.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// What the sources of a configuration take from the machine, and what a service or a process may have: so
// that `check` and the start say beforehand which sources could not be started. Any thread.
namespace things {

class PluginDirectory;

/// Threads and processes, descriptors, and bytes of memory. Measured, and rounded up
/// (tests/bench/RESULTS.md); what exec's own programs need beyond a task is not known.
struct Needs {
    std::uint64_t tasks = 0, descriptors = 0, memory = 0;
};
/// Asks the plugins only what they say of themselves.
[[nodiscard]] Needs needs_of(const Work& work, PluginDirectory& plugins);

/// None: as much as there is. `whose`, for messages: "the running service", "this process".
struct Limits {
    std::string whose;
    std::optional<std::uint64_t> tasks, descriptors, memory;
};
/// Of a process: its control groups and its resource limits, as far as they can be read.
[[nodiscard]] Limits limits_of(const std::string& pid, std::string whose);
/// Of the service: as it runs, else as its unit says (`units`: where units and their drop-ins lie), else of
/// this process.
[[nodiscard]] Limits limits_of_service(const std::vector<std::filesystem::path>& units);
/// As systemd writes them in these lines of a unit; the last one counts.
void read_unit(const std::string& text, Limits& limits);

/// One sentence each. Pure.
[[nodiscard]] std::vector<std::string> shortages(const Needs& needs, const Limits& limits);

} // namespace things
