// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/host_limits.hpp"

// The other end of `isolation: process`: the same executable, run as `kpn-things-gateway plugin-host --fd 3
// --wake 4 --plugin FILE` by polling/host_process. It serves one plugin's table over the socket FD and ends
// with it.
namespace things {

/// The hidden subcommand; argv[0] is "plugin-host". Main thread only. Limits this process first, loads the
/// plugin last. Returns the exit code: 0 the gateway went away or said so, 1 the plugin cannot be loaded, 64
/// usage.
/// `limits`: for tests, which take walls down or an older kernel's.
/// Ends by _exit() without running the plugin's destructors, which may hang.
int run_plugin_host(int argc, char** argv, HostLimits limits = {});

} // namespace things
