// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

// Keys that belong to a plugin: their description, and the values that were configured for them.
namespace things {

/// Where a value stands in the configuration, for messages.
/// Lines and columns count from 1.
struct Place {
    std::string file;
    int line = 0; ///< from 1; 0: no file
    int column = 0;
    [[nodiscard]] std::string text() const; ///< "FILE:LINE:COLUMN"
};

/// Numbers as in the plugin contract (things_level, things_type).
enum class Level : std::uint8_t { source, device, point };
enum class SettingType : std::uint8_t { boolean = 1, integer, number, text, duration, choice, list, map };

/// One key that a plugin understands. Mirrors things_key of plugins/sdk/things_plugin.h.
/// Copied from the plugin when it is loaded; every text is bounded (plugin_table.hpp).
struct KeyDescription {
    Level level = Level::source;
    std::string name;
    SettingType type = SettingType::text;
    bool required = false;
    bool secret = false;
    bool inherit = false; ///< a device key that a point may override
    std::string unit;
    std::string fallback;            ///< the default as it would be written; empty if none
    double minimum = 0, maximum = 0; ///< both 0: no range
    std::vector<std::string> choices;
    std::string group; ///< point keys of one group exclude each other, and one must be given
    std::string help;
};

/// What a plugin says of itself.
/// What it offers follows from which calls its table has.
struct PluginDescription {
    std::string name, version, summary;
    std::vector<KeyDescription> keys;
    bool polls = false, listens = false, writes = false, discovers = false, plans = false;
    bool runs_programs = false; ///< that its settings name; counts for shipped ones, which then are isolated
    bool shipped = true; ///< lies in the package's own plugin directory; others are isolated by default
};

/// monostate: nothing was given. An integer is unsigned only above INT64_MAX.
using Scalar = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

/// One configured value of a plugin's key.
/// Compared without its place, so that moving a line in a file restarts no source.
/// `value` of a secret key holds it in the clear; it must not be printed.
struct Setting {
    std::string key;
    Scalar value;              ///< durations in milliseconds (int64); empty for lists and maps
    std::vector<Scalar> items; ///< of lists; of maps key, value, key, value ...
    Place place;
    bool secret = false;
    friend bool operator==(const Setting& a, const Setting& b) {
        return a.key == b.key && a.value == b.value && a.items == b.items;
    }
};

} // namespace things
