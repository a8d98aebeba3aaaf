// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/loader.hpp"
#include "config/section.hpp"

#include <map>
#include <string>

namespace things {

/// A source while devices are read.
/// `config` is set when all sources were read.
struct KnownSource {
    const SourceConfig* config = nullptr;
    const PluginDescription* plugin = nullptr; ///< null: not installed, which was reported
    Place place;
    bool is_used = false;
};
using KnownSources = std::map<std::string, KnownSource>;

/// Finds a source by name and marks it used; reports an unknown one with the nearest name.
/// Null only if none is near either.
const KnownSource* find_source(KnownSources& sources, const std::string& name, const Place& asked,
                               Problems& problems);

/// What a point takes from its device.
struct PointDefaults {
    std::string source;
    const PluginDescription* plugin = nullptr; ///< of that source
    Milliseconds interval{0};
};

/// Reads the points of one device: every key but the name is checked here.
/// Everything it refers to outlives it.
class PointReader {
public:
    PointReader(KnownSources& sources, const LoadOptions& options, Problems& problems)
        : sources_(sources), options_(options), problems_(problems) {}
    /// Always a point, with defaults where something was wrong. What plugin keys it may have depends on its
    /// source's plugin.
    PointConfig read(const Entries& entries, const Place& place, const PointDefaults& defaults);

private:
    void read_source(Section& section, const PointDefaults& defaults, PointConfig& point,
                     const PluginDescription*& plugin);

    KnownSources& sources_;
    const LoadOptions& options_;
    Problems& problems_;
};

/// `report:`, `writable:` and `labels:` of a point.
/// None of the three throws; mistakes leave the defaults.
Report read_report(const Node& node, Problems& problems);
std::optional<Writable> read_writable(const Node& node, Problems& problems);
std::vector<std::pair<std::int64_t, std::string>> read_labels(const Node& node, Problems& problems);

/// A scalar as a value that can be written; none for a missing one.
std::optional<Value> to_value(const Scalar& scalar);

} // namespace things
