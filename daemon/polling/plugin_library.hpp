// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"
#include "things_plugin.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

// A loaded plugin. The only user of dlopen. The handle outlives every source made from it (shared by the
// gateway and by sources whose thread hangs). Immutable once loaded; any thread.
namespace things {

struct SourceOptions;

/// `load` runs code of FILE in this process (its constructors and its entry); `probe` does not.
class PluginLibrary : public std::enable_shared_from_this<PluginLibrary> {
public:
    /// Loads FILE, checks ABI version and struct sizes before anything of it is called, and copies its
    /// description. Refuses a file that everybody may overwrite. Throws std::runtime_error with the file and
    /// the reason.
    /// The file must be called NAME.so after what the plugin calls itself. Blocks for the disk.
    static std::shared_ptr<const PluginLibrary> load(const std::filesystem::path& file, bool shipped);
    /// The same in two steps, for a process that gives up its user between them: what is checked before, and
    /// the rest with FILE by another path, of a descriptor that is open. Both throw as `load` does.
    static void check(const std::filesystem::path& file);
    static std::shared_ptr<const PluginLibrary> load_checked(const std::filesystem::path& file, bool shipped,
                                                             const std::filesystem::path& opened);
    /// Asks FILE for its description in a process of its own, so that nothing of it runs here; for plugins
    /// that are not shipped. `table` is then empty. Throws as `load` does.
    /// Blocks for up to 10 s with a plugin that hangs while it is loaded.
    static std::shared_ptr<const PluginLibrary> probe(const std::filesystem::path& file,
                                                      const SourceOptions& options);
    ~PluginLibrary();
    PluginLibrary(const PluginLibrary&) = delete;
    PluginLibrary& operator=(const PluginLibrary&) = delete;

    [[nodiscard]] const PluginDescription& description() const { return description_; }
    /// Whether its code is in this process.
    [[nodiscard]] bool is_loaded() const { return handle_ != nullptr; }
    /// A copy of the plugin's table: what an older plugin's shorter table lacks is null.
    [[nodiscard]] const things_plugin& table() const { return table_; }
    [[nodiscard]] const std::filesystem::path& file() const { return file_; }

private:
    PluginLibrary() = default;
    void* handle_ = nullptr;
    things_plugin table_{};
    std::filesystem::path file_;
    PluginDescription description_;
};

} // namespace things
