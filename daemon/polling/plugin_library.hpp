// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "setting.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct things_plugin;

// A loaded plugin. The only user of dlopen. The handle outlives every source made from it (shared by the
// gateway and by sources whose thread hangs).
namespace things {

class PluginLibrary {
public:
    /// Loads FILE, checks ABI version and struct sizes before anything of it is called, and copies its
    /// description. Throws std::runtime_error with the file and the reason.
    static std::shared_ptr<const PluginLibrary> load(const std::filesystem::path& file, bool shipped);
    ~PluginLibrary();
    PluginLibrary(const PluginLibrary&) = delete;
    PluginLibrary& operator=(const PluginLibrary&) = delete;

    [[nodiscard]] const PluginDescription& description() const { return description_; }
    [[nodiscard]] const things_plugin& table() const { return *table_; }
    [[nodiscard]] const std::filesystem::path& file() const { return file_; }

private:
    PluginLibrary() = default;
    void* handle_ = nullptr;
    const things_plugin* table_ = nullptr;
    std::filesystem::path file_;
    PluginDescription description_;
};

/// All plugins of a directory, by name. Problems are returned, not thrown: one bad file hides no good one.
struct PluginDirectory {
    std::vector<std::shared_ptr<const PluginLibrary>> plugins;
    std::vector<std::string> problems; ///< one line each: file and reason
    [[nodiscard]] std::shared_ptr<const PluginLibrary> find(const std::string& name) const;
};
PluginDirectory load_plugins(const std::vector<std::filesystem::path>& directories);

} // namespace things
