// SPDX-License-Identifier: Apache-2.0
#include "polling/host_reach.hpp"

#include <algorithm>
#include <system_error>

#include <sys/stat.h>

namespace things {

namespace fs = std::filesystem;

namespace {

void add_paths(const Scalar& value, std::vector<fs::path>& paths) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->empty() || text->front() != '/')
        return;
    if (std::find(paths.begin(), paths.end(), *text) == paths.end())
        paths.emplace_back(*text);
}

void add_paths(const std::vector<Setting>& settings, std::vector<fs::path>& paths) {
    for (const Setting& setting : settings) {
        if (setting.secret)
            continue;
        add_paths(setting.value, paths);
        for (const Scalar& item : setting.items)
            add_paths(item, paths);
    }
}

bool lies_in(const fs::path& path, const fs::path& folder) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

/// Where `folder` itself may be read whole.
bool is_harmless(const fs::path& folder, const std::vector<fs::path>& hidden) {
    // "/" and "usr" are one of them each.
    if (std::distance(folder.begin(), folder.end()) <= 2)
        return false;
    return std::none_of(hidden.begin(), hidden.end(),
                        [&folder](const fs::path& path) { return lies_in(path, folder); });
}

/// A device file that is made anew keeps its number and may get the same inode: its age counts as well.
HostReach::Identity identity_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISCHR(status.st_mode))
        return {};
    return {status.st_ino, status.st_rdev, static_cast<std::uint64_t>(status.st_ctim.tv_sec),
            static_cast<std::uint64_t>(status.st_ctim.tv_nsec)};
}

} // namespace

bool HostReach::has_changed() const {
    for (std::size_t i = 0; i < named.size(); ++i)
        if (const Identity identity = identity_of(named[i]);
            identity.front() != 0 && identity != identities_[i])
            return true;
    return false;
}

HostReach find_reach(const SourceWork& work, bool runs_programs) {
    std::vector<fs::path> paths;
    add_paths(work.config.settings, paths);
    for (const SourceDevice& device : work.devices)
        add_paths(device.settings, paths);
    for (const SourcePoint& point : work.points)
        add_paths(point.config.settings, paths);
    HostReach reach;
    const auto add_folder = [&](const fs::path& folder) {
        std::error_code error;
        const fs::path real = fs::weakly_canonical(folder, error);
        if (!error && is_harmless(real, work.hidden) &&
            std::find(reach.folders.begin(), reach.folders.end(), real) == reach.folders.end())
            reach.folders.push_back(real);
    };
    for (const fs::path& path : paths) {
        std::error_code error;
        if (fs::is_directory(path, error)) {
            add_folder(path);
            continue;
        }
        reach.named.push_back(path);
        reach.identities_.push_back(identity_of(path));
        if (runs_programs && fs::is_regular_file(path, error)) {
            std::error_code lost;
            add_folder(fs::canonical(path, lost).parent_path());
        }
    }
    return reach;
}

} // namespace things
