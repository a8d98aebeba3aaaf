// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <string>

// Who stands behind the wall of a host process, and what reaches whoever does not. Pure.
namespace things {

/// Whether the source's plugin runs in a process of its own.
bool is_isolated(const SourceConfig& source, const PluginDescription& plugin);

/// What code that does not come with the package reaches where `isolation: none` takes the wall away, and
/// what to do about it; empty if there is no such code, or the wall stands.
std::string reach_of(const SourceConfig& source, const PluginDescription& plugin);

} // namespace things
