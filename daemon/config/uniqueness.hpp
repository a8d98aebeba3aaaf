// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "config/problem.hpp"

#include <functional>
#include <string>

namespace things {

/// What must not be there twice over all devices: one register under two names, outcomes named like points.
/// `find_plugin` tells which settings of a point are its address.
void check_uniqueness(const Config& config,
                      const std::function<const PluginDescription*(const std::string&)>& find_plugin,
                      Problems& problems);

} // namespace things
