// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "polling/plugin_directory.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace things {

/// How a source will read its points, as its plugin predicts, and where it runs; for the status page.
/// Zero where the plugin does not say.
struct LinePlan {
    std::uint64_t requests = 0;
    double cycle_ms = 0, load = 0;
    bool is_isolated = false;
    std::string reach; ///< as reach_of()
};

/// A configuration that was checked whole, plugins' own checks included.
struct CheckedConfig {
    Config config;
    std::unordered_map<std::string, LinePlan> plans; ///< by source
    PluginDirectory plugins;                         ///< those that its sources use
};

} // namespace things
