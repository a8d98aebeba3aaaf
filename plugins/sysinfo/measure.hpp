// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the kernel says of the machine, read from files below a root, so that a test can bring its own.
namespace things {

/// Counts of the kernel are uint64 and start at 0 with the machine, or with the device.
using Measure = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

/// One thing that can be measured.
struct Measurement {
    const char* name;
    const char* unit; ///< in which `measure` gives it
    const char* help;
};

/// All of them, by name. Those of disks and networks take an argument after a colon: disk_used:/var,
/// net_received:eth0.
[[nodiscard]] const std::vector<Measurement>& measurements();

/// Whether this is a name `measure` knows; the argument is not looked at.
[[nodiscard]] bool is_measurement(std::string_view what);

/// Measures one thing. Remembers what a rate needs. Source's thread only.
/// Opens each file anew, reads at most 64 KiB of it, throws nothing.
class Machine {
public:
    explicit Machine(std::filesystem::path root) : root_(std::move(root)) {}

    /// Nothing, with the reason in `why`, if this machine does not have it.
    /// cpu_load is the mean since the last call for it, the first time since the machine started; two points
    /// of one source would share that. queue_size looks at 10,000 entries of one directory at most.
    [[nodiscard]] std::optional<Measure> measure(std::string_view what, std::string& why);

private:
    [[nodiscard]] std::string read(const std::string& path, std::string& why) const;
    [[nodiscard]] std::optional<Measure> cpu_load(std::string& why);
    [[nodiscard]] std::optional<Measure> memory(std::string_view name, std::string& why) const;
    [[nodiscard]] std::optional<Measure> disk(std::string_view name, std::string path,
                                              std::string& why) const;
    [[nodiscard]] std::optional<Measure> network(std::string_view name, const std::string& device,
                                                 std::string& why) const;
    [[nodiscard]] std::optional<Measure> throttled(std::string_view name, std::string& why) const;
    [[nodiscard]] std::optional<Measure> directory_size(const std::string& path, std::string& why) const;

    std::filesystem::path root_;
    std::uint64_t busy_ = 0, total_ = 0; ///< of /proc/stat, at the last time
};

} // namespace things
