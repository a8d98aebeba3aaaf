// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <cstddef>
#include <vector>

namespace things {

/// Where a point of the configuration is read: index into Work::sources, and index into its points.
struct PointAddress {
    std::size_t source = 0;
    std::uint32_t point = 0;
};

/// Which point of the configuration a source's point is.
struct PointOrigin {
    std::size_t device = 0; ///< index into Config::devices
    std::size_t point = 0;  ///< index into its points
};

/// The configuration seen from its sources. Every configured source is there, in the order of the
/// configuration, also one that no point uses.
/// A copy of what sources need: the configuration may go.
struct Work {
    std::vector<SourceWork> sources;
    std::vector<std::vector<PointOrigin>> origins;    ///< [source][point]
    std::vector<std::vector<PointAddress>> addresses; ///< [device][point]
};

/// Sorts the points of all devices to their sources. A device whose points lie on several sources is one
/// device of each; its own plugin settings go to its own source only. Pure.
Work make_work(const Config& config);

/// Forgets where in the files everything stood: nobody asks once the configuration was checked.
void forget_places(Config& config);
/// Forgets what the plugins were told, once their sources have it.
/// Saves the memory of a large fleet; points and devices stay.
void forget_settings(Config& config);

} // namespace things
