// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/loader.hpp"
#include "config/section.hpp"

#include <string>
#include <vector>

// The keys that belong to a plugin: held against its own description.
namespace things {

/// The plugin's keys that may stand at a level. Point: also the device keys that a point may override.
std::vector<const KeyDescription*> keys_at(const PluginDescription& plugin, Level level);

/// What a Section must know of a plugin's keys. Without a plugin any key may be its, or, where `installed` is
/// given, any key that one of those plugins has.
/// Holds on to `plugin` and `installed`.
OtherKeys other_keys(const PluginDescription* plugin, Level level, const LoadOptions* installed = nullptr);

/// Reads the plugin's keys among the entries, checks types, ranges and groups. `what` names the section,
/// `place` is where missing keys are reported. Keys of the table of the section are passed over.
/// Only what was given: defaults are the plugin's to apply. A key that is null takes a profile's value away.
std::vector<Setting> read_settings(const PluginDescription& plugin, Level level, const Entries& entries,
                                   Table table, const std::string& what, const Place& place,
                                   const LoadOptions& options, Problems& problems);

} // namespace things
