// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/loader.hpp"
#include "config/point_reader.hpp"

#include <vector>

namespace things {

/// Reads sources. One for a whole load, since their names must be unique over all files. Everything it refers
/// to outlives it.
class SourceReader {
public:
    SourceReader(KnownSources& sources, const LoadOptions& options, Problems& problems)
        : sources_(sources), options_(options), problems_(problems) {}

    /// One `sources:`, names with their settings; adds to `list`. A source with mistakes is added too, as far
    /// as it goes, so that the points of its devices are checked.
    void read(const Node& sources, std::vector<SourceConfig>& list);

private:
    void read_source(const Node& name, const Node& body, std::vector<SourceConfig>& list);
    /// What is wrong is told. Null: nobody can know the keys of this source.
    const PluginDescription* find_plugin(const Section& section, const std::string& name);

    KnownSources& sources_;
    const LoadOptions& options_;
    Problems& problems_;
};

} // namespace things
