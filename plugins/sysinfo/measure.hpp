// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the kernel says about the machine. Reads its files below a root, so that a test can bring its own.
namespace things {

/// Counters of the kernel are uint64 and start at 0 with the machine, or with the network device.
using Measure = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

struct Measurement {
    const char* name;
    const char* unit; ///< of the result of `measure`
    const char* help;
};

/// Those of disks and networks take an argument after a colon: disk_used:/var, net_received:eth0.
[[nodiscard]] const std::vector<Measurement>& measurements();

/// Does not check the argument after the colon.
[[nodiscard]] bool is_measurement(std::string_view what);

/// Takes the measurements and remembers the last counters, which rates need. Each source of the plugin owns
/// one; use it on the source's thread only. Every call opens its file again and reads 64 KiB at most. Never
/// throws.
class Machine {
public:
    explicit Machine(std::filesystem::path root) : root_(std::move(root)) {}

    /// Nothing, with the reason in `why`, if this machine does not have it. cpu_load is the mean since the
    /// last call for it, so two points of one source disturb each other. queue_size reads 10,000 entries at
    /// most.
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
    std::uint64_t busy_ = 0, total_ = 0; ///< of /proc/stat, at the last call
};

} // namespace things
