// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/driver.hpp"

#include <memory>

namespace things {

class PluginLibrary;

/// Drives a plugin's table in this process. The calling thread is the only one from which the plugin may
/// reach the host; what it tries from other threads is ignored. Exceptions end here. Keeps the library
/// loaded. `work` and `sink` outlive the driver.
/// A plugin that hangs, crashes or writes where it should not does so to the whole gateway: that is what
/// processes of their own are for.
std::unique_ptr<Driver> make_local_driver(const SourceWork& work,
                                          std::shared_ptr<const PluginLibrary> library, DriverSink& sink);

} // namespace things
