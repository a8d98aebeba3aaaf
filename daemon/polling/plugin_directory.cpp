// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

namespace things {

namespace fs = std::filesystem;

namespace {

bool is_same_directory(const fs::path& a, const fs::path& b) {
    std::error_code error;
    return !a.empty() && !b.empty() && fs::equivalent(a, b, error);
}

} // namespace

PluginDirectory::PluginDirectory(const std::vector<fs::path>& directories, const fs::path& shipped,
                                 SourceOptions options)
    : options_(std::move(options)) {
    for (const fs::path& directory : directories) {
        std::error_code error;
        std::vector<fs::path> files;
        for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
             entry.increment(error))
            if (entry->path().extension() == ".so")
                files.push_back(entry->path());
        if (error && error != std::errc::no_such_file_or_directory)
            problems_.push_back(fmt::format("{}: {}", directory.string(), error.message()));
        std::sort(files.begin(), files.end());
        const bool is_shipped = is_same_directory(directory, shipped);
        for (fs::path& file : files)
            entries_.push_back({std::move(file), is_shipped, false, nullptr});
    }
}

std::shared_ptr<const PluginLibrary> PluginDirectory::find(const std::string& name) {
    for (Entry& entry : entries_) {
        if (entry.file.stem().string() != name)
            continue;
        try_once(entry);
        if (entry.library)
            return entry.library;
    }
    return nullptr;
}

std::vector<std::shared_ptr<const PluginLibrary>> PluginDirectory::find_all() {
    std::vector<std::shared_ptr<const PluginLibrary>> plugins;
    for (const std::string& name : names())
        if (auto plugin = find(name))
            plugins.push_back(std::move(plugin));
    return plugins;
}

std::vector<std::string> PluginDirectory::names() const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_)
        if (std::string name = entry.file.stem().string();
            std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(std::move(name));
    return names;
}

void PluginDirectory::try_once(Entry& entry) {
    if (std::exchange(entry.was_tried, true))
        return;
    try {
        entry.library = entry.is_shipped ? PluginLibrary::load(entry.file, true)
                                         : PluginLibrary::probe(entry.file, options_);
    } catch (const std::exception& problem) {
        problems_.emplace_back(problem.what());
    }
}

} // namespace things
