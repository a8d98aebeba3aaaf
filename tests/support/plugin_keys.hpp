// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"

#include <string>
#include <vector>

// Descriptions of plugins made by hand, like those that the real ones give of themselves.
namespace things {

/// modbus, simulated, p1 (cannot write), strict (keys that must be given) and secretive (a key that is a
/// secret).
const PluginDescription* find_test_plugin(const std::string& name);
std::vector<std::string> test_plugin_names();

} // namespace things
