// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"

#include <string>
#include <vector>

// JSON Schema of the configuration, made from the tables that validate it. Pure.
namespace things {

/// A JSON Schema (draft 7, what editors know) of the main file, with the keys of these plugins.
std::string config_schema(const std::vector<const PluginDescription*>& plugins);

} // namespace things
