// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

// What lies beneath a folder: whether a file there is still there after a reboot, and after a power cut.
namespace things {

/// How the system is asked; a test answers itself.
struct StorageProbe {
    /// statfs(2)'s f_type of the file system at a path; 0: cannot be told.
    std::function<std::uint64_t(const std::filesystem::path&)> type_of;
    std::string mounts; ///< /proc/self/mountinfo
    bool is_container = false;
};
[[nodiscard]] StorageProbe system_storage();

/// What is wrong with keeping the queue at `path`, what that costs, and what to do; empty: nothing is. The
/// path, or the nearest folder above it that is there.
[[nodiscard]] std::string storage_problem(const std::filesystem::path& path, const StorageProbe& probe);

} // namespace things
