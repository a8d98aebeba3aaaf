// SPDX-License-Identifier: Apache-2.0
#include "config/isolation.hpp"

#include <fmt/format.h>

namespace things {

bool is_isolated(const SourceConfig& source, const PluginDescription& plugin) {
    return source.isolation == Isolation::process ||
           (source.isolation == Isolation::automatic && (!plugin.shipped || plugin.runs_programs));
}

std::string reach_of(const SourceConfig& source, const PluginDescription& plugin) {
    const bool is_trusted = plugin.shipped && !plugin.runs_programs;
    if (is_trusted || is_isolated(source, plugin))
        return {};
    return fmt::format(
        "isolation: none: {} reaches whatever the gateway reaches: it can read every secret and "
        "the queue, write to devices through the control socket and use every serial port{}; "
        "without this key it runs in a process of its own that reaches none of them",
        plugin.shipped ? "its program" : fmt::format("plugin {}", plugin.name),
        plugin.shipped ? "" : ", and its crash ends the gateway");
}

} // namespace things
