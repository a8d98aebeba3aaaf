// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "setting.hpp"

#include <string>
#include <string_view>
#include <vector>

// The man page of the configuration file, made from the tables that validate it. Pure.
namespace things {

/// kpn-things-gateway.yaml(5) with the keys of these plugins, for groff's man macros. The same tables give
/// the same page.
/// `plugins` in the order in which their keys are to be listed.
std::string config_manual(const std::vector<const PluginDescription*>& plugins, std::string_view version);

} // namespace things
