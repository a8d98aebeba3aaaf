// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_library.hpp"

#include "polling/host_protocol.hpp"
#include "polling/plugin_table.hpp"
#include "polling/remote_driver.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>

#include <dlfcn.h>
#include <sys/stat.h>

namespace things {

namespace fs = std::filesystem;

namespace {

/// Whoever can write a plugin runs code in this process. World-writable never is right; group-writable is not
/// what a package installs either, but a developer's umask of 002 makes it, so there the owner counts.
void check_permissions(const fs::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot be read");
    const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
    if ((status.st_mode & S_IWOTH) != 0 && !sticky)
        throw std::runtime_error(
            fmt::format("everybody may write to {}; take that right away (chmod o-w)", path.string()));
    if ((status.st_mode & S_IWGRP) != 0 && status.st_uid == 0 && status.st_gid != 0)
        throw std::runtime_error(fmt::format(
            "the group {} may write to {}, which belongs to root (chmod g-w)", status.st_gid, path.string()));
}

const things_plugin* call_entry(void* handle) {
    dlerror();
    const auto entry =
        reinterpret_cast<things_plugin_entry_function>(dlsym(handle, "things_plugin_entry")); // NOLINT
    if (entry == nullptr)
        throw std::runtime_error("it exports no things_plugin_entry, so it is no plugin of this gateway");
    try {
        return entry();
    } catch (...) {
        throw std::runtime_error("things_plugin_entry threw an exception");
    }
}

} // namespace

std::shared_ptr<const PluginLibrary> PluginLibrary::load(const fs::path& file, bool shipped) {
    check(file);
    return load_checked(file, shipped, fs::absolute(file));
}

void PluginLibrary::check(const fs::path& file) {
    try {
        const fs::path path = fs::absolute(file);
        check_permissions(path);
        check_permissions(path.parent_path());
    } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

std::shared_ptr<const PluginLibrary> PluginLibrary::load_checked(const fs::path& file, bool shipped,
                                                                 const fs::path& opened) {
    try {
        const fs::path path = fs::absolute(file);
        const std::shared_ptr<PluginLibrary> library(new PluginLibrary);
        // RTLD_NOW: a missing symbol shows here, not in the middle of a write. RTLD_LOCAL: two plugins that
        // carry the same library in different versions do not see each other's.
        library->handle_ = dlopen(opened.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library->handle_ == nullptr)
            throw std::runtime_error(dlerror());
        library->file_ = path;
        library->table_ = copy_table(call_entry(library->handle_));
        library->description_ = describe(library->table_);
        library->description_.shipped = shipped;
        if (library->description_.name != path.stem().string())
            throw std::runtime_error(fmt::format("it calls itself {}, so its file must be {}.so",
                                                 library->description_.name, library->description_.name));
        return library;
    } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

std::shared_ptr<const PluginLibrary> PluginLibrary::probe(const fs::path& file,
                                                          const SourceOptions& options) {
    const std::shared_ptr<PluginLibrary> library(new PluginLibrary);
    library->file_ = fs::absolute(file);
    HelloFrame hello = ask_plugin(library->file_, options);
    if (!hello.error.empty())
        throw std::runtime_error(hello.error.find(file.filename().string()) == std::string::npos
                                     ? fmt::format("{}: {}", file.string(), hello.error)
                                     : hello.error);
    library->description_ = std::move(hello.description);
    library->description_.shipped = false;
    return library;
}

PluginLibrary::~PluginLibrary() {
    if (handle_ != nullptr)
        dlclose(handle_);
}

} // namespace things
