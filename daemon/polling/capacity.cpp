// SPDX-License-Identifier: Apache-2.0
#include "polling/capacity.hpp"

#include "config/isolation.hpp"
#include "polling/plugin_directory.hpp"
#include "polling/plugin_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace things {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1024} * 1024;
// Loop, uploads, archive, log, a reload that is checked, look-ups of names.
constexpr Needs of_daemon{16, 128, 32 * mib};
constexpr Needs of_source{1, 4, mib / 8}; ///< its thread, its eventfd, its link
constexpr Needs of_host{1, 4, 4 * mib};   ///< its host process
constexpr Needs of_program{1, 4, 4 * mib};
constexpr std::uint64_t of_point = 1024;

void add(Needs& sum, const Needs& part) {
    sum.tasks += part.tasks;
    sum.descriptors += part.descriptors;
    sum.memory += part.memory;
}

std::string read_file(const fs::path& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void lower(std::optional<std::uint64_t>& limit, std::optional<std::uint64_t> other) {
    if (other && (!limit || *other < *limit))
        limit = other;
}

/// "512", "256M", "1024:2048" (the first counts); nothing for "infinity", "max", a percentage.
std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc() || (parsed.ptr != end && *parsed.ptr == '%'))
        return std::nullopt;
    const std::size_t scale =
        parsed.ptr == end ? std::string_view::npos : std::string_view("KMGT").find(*parsed.ptr);
    // A limit that no machine has is none (memory.limit_in_bytes has one of 8 EiB).
    if (number >= std::uint64_t{1} << 60U)
        return std::nullopt;
    return scale == std::string_view::npos ? number : number << (10 * (scale + 1));
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
    const std::string text = read_file(file);
    return number_of(std::string_view(text).substr(0, text.find('\n')));
}

/// Every group above counts, too.
void lower_by_group(Limits& limits, const fs::path& root, fs::path group) {
    while (true) {
        const fs::path folder = root / group.relative_path();
        lower(limits.tasks, number_in(folder / "pids.max"));
        lower(limits.memory, number_in(folder / "memory.max"));
        lower(limits.memory, number_in(folder / "memory.limit_in_bytes"));
        if (!group.has_relative_path())
            return;
        group = group.parent_path();
    }
}

} // namespace

Needs needs_of(const Work& work, PluginDirectory& plugins) {
    Needs sum = of_daemon;
    for (const SourceWork& source : work.sources) {
        if (source.points.empty())
            continue;
        add(sum, of_source);
        sum.memory += of_point * source.points.size();
        const auto library = plugins.find(source.config.plugin);
        const bool runs_programs = library && library->description().runs_programs;
        if (library ? is_isolated(source.config, library->description())
                    : source.config.isolation == Isolation::process)
            add(sum, of_host);
        if (runs_programs)
            add(sum, of_program);
    }
    return sum;
}

Limits limits_of(const std::string& pid, std::string whose) {
    Limits limits;
    limits.whose = std::move(whose);
    std::istringstream groups(read_file("/proc/" + pid + "/cgroup"));
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos)
            continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const fs::path root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controllers;
        lower_by_group(limits, root, line.substr(second + 1));
    }
    std::istringstream rows(read_file("/proc/" + pid + "/limits"));
    constexpr std::size_t column = 26; // of the soft limit
    for (std::string line; std::getline(rows, line);) {
        if (line.size() <= column)
            continue;
        const std::string_view row = line;
        const std::string_view value = row.substr(column, row.find(' ', column) - column);
        if (line.starts_with("Max open files"))
            lower(limits.descriptors, number_of(value));
        // Root may exceed it.
        if (line.starts_with("Max processes") && geteuid() != 0)
            lower(limits.tasks, number_of(value));
    }
    return limits;
}

void read_unit(const std::string& text, Limits& limits) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto value_of = [&line](std::string_view key) -> std::optional<std::string> {
            return line.starts_with(key) ? std::optional(line.substr(key.size())) : std::nullopt;
        };
        if (const auto tasks = value_of("TasksMax="))
            limits.tasks = number_of(*tasks);
        else if (const auto files = value_of("LimitNOFILE="))
            limits.descriptors = number_of(*files);
        else if (const auto memory = value_of("MemoryMax="))
            limits.memory = number_of(*memory);
    }
}

Limits limits_of_service(const std::vector<fs::path>& units) {
    const std::string name = "kpn-things-gateway.service";
    std::string pid;
    std::istringstream(read_file("/sys/fs/cgroup/system.slice/" + name + "/cgroup.procs")) >> pid;
    if (!pid.empty())
        return limits_of(pid, "the service that runs");
    Limits limits;
    std::error_code ignored;
    // A unit of the administrator's replaces the shipped one; drop-ins change either.
    for (const fs::path& folder : units)
        if (const fs::path unit = folder / name; limits.whose.empty() && fs::exists(unit, ignored)) {
            limits.whose = "the service (" + unit.string() + ")";
            read_unit(read_file(unit), limits);
        }
    if (limits.whose.empty())
        return limits_of("self", "this process, as there is no service");
    for (auto folder = units.rbegin(); folder != units.rend(); ++folder) {
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(*folder / (name + ".d"), ignored))
            if (entry.path().extension() == ".conf")
                files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const fs::path& file : files)
            read_unit(read_file(file), limits);
    }
    return limits;
}

std::vector<std::string> shortages(const Needs& needs, const Limits& limits) {
    std::vector<std::string> out;
    const auto compare = [&](std::uint64_t needed, const std::optional<std::uint64_t>& limit,
                             const char* what, const char* key, std::uint64_t unit) {
        if (!limit || needed <= *limit)
            return;
        out.push_back(
            fmt::format("the sources need about {} {}, and {} may have {}: some cannot be started; raise {} "
                        "(systemctl edit kpn-things-gateway)",
                        (needed + unit - 1) / unit, what, limits.whose, *limit / unit, key));
    };
    compare(needs.tasks, limits.tasks, "threads and processes", "TasksMax", 1);
    compare(needs.descriptors, limits.descriptors, "descriptors", "LimitNOFILE", 1);
    compare(needs.memory, limits.memory, "MiB of memory", "MemoryMax", mib);
    return out;
}

} // namespace things
