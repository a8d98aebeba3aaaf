// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/plugin_library.hpp"
#include "polling/source.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace things {

/// The plugins of some directories, by name. The file of a plugin is only touched when the plugin is asked
/// for: what no source uses takes no memory, runs no code and cannot hold up a start.
/// Of two plugins of one name the one in the earlier directory counts, if it can be loaded.
/// Problems are kept, not thrown: one bad file hides no good one. One thread at a time.
class PluginDirectory {
public:
    PluginDirectory() = default;
    /// `shipped`: the package's own directory; plugins that lie in it are loaded here, others are only asked,
    /// in a process of their own. A directory that does not exist is no problem.
    /// Only files that end in .so count, in the order of their names. Never throws.
    PluginDirectory(const std::vector<std::filesystem::path>& directories,
                    const std::filesystem::path& shipped, SourceOptions options);

    /// By the plugin's name; null if there is none, or none that can be loaded: then `problems` says why.
    /// Blocks for the disk the first time, for up to 10 s with a plugin that is not shipped and hangs.
    std::shared_ptr<const PluginLibrary> find(const std::string& name);
    /// Every plugin that can be loaded. Blocks as `find` does, for each.
    std::vector<std::shared_ptr<const PluginLibrary>> find_all();
    /// What the plugins should be called after their files, each once, those that cannot be loaded too.
    [[nodiscard]] std::vector<std::string> names() const;
    /// Met so far, one line each: file and reason.
    [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

private:
    struct Entry {
        std::filesystem::path file;
        bool is_shipped = false, was_tried = false;
        std::shared_ptr<const PluginLibrary> library; ///< null before it was tried, and if it is bad
    };
    void try_once(Entry& entry);

    SourceOptions options_;
    std::vector<Entry> entries_;
    std::vector<std::string> problems_;
};

} // namespace things
