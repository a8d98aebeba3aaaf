// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <filesystem>
#include <functional>
#include <string>

// `things-plugin-test FILE.so [SOURCE]`: loads any plugin in a host process and exercises every entry with
// good and bad calls.
namespace things {

/// One thing that was tried.
/// A warning is for the plugin's author; a fail is something that harms a gateway or its user.
struct Finding {
    enum class Grade : std::uint8_t { pass, warning, fail };
    Grade grade = Grade::pass;
    std::string what; ///< what was tried: "poll: all points"
    std::string text; ///< what came back, and what to do about it; may be empty on a pass
};

/// Exercises FILE; `on_finding` gets each result as it comes. `work` configures the source (its plugin is
/// FILE's); without devices and points one of each is made up, with the plugin's required keys guessed from
/// their descriptions. True if nothing failed. Blocks for as long as the plugin takes, bounded; any thread.
/// Each call has 3 s (listen 0.3 s, plan 10 s); a plugin that dies is started again for the next call. Writes
/// go only to a point that `work` makes writable, or to the made-up one.
bool test_plugin(const std::filesystem::path& file, SourceWork work, const SourceOptions& options,
                 const std::function<void(const Finding&)>& on_finding);

} // namespace things
