// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/driver.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace things {

struct HelloFrame;

/// Drives a plugin's table in a host process of its own. A call that does not come back within its deadline
/// and the grace, a crash, or more readings in one call than anybody could want end the process; the call's
/// result then is `dead`, and `create` starts another one. What was emitted before is handed on first. `work`
/// and `sink` outlive the driver. `runs_programs`: of a plugin that comes with the gateway and says so;
/// others do not get that right by saying it. Used on one thread from its first call on: the host process
/// dies with the thread that started it. What the plugin writes to its standard error becomes notes with the
/// code "stderr"; its last line is quoted when it dies.
std::unique_ptr<Driver> make_remote_driver(const SourceWork& work, const std::filesystem::path& plugin,
                                           bool runs_programs, const SourceOptions& options,
                                           DriverSink& sink);

/// Starts a host process just to ask what FILE says of itself. Never throws; the reason is in `error`.
[[nodiscard]] HelloFrame ask_plugin(const std::filesystem::path& file, const SourceOptions& options);

} // namespace things
