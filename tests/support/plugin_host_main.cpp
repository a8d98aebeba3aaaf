// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_host.hpp"

#include <cstring>

#ifndef THINGS_HOST_WALLS
#define THINGS_HOST_WALLS true
#endif
#ifndef THINGS_HOST_LANDLOCK
#define THINGS_HOST_LANDLOCK (-1)
#endif

// What the daemon's hidden subcommand does, alone, for tests that do not want the whole daemon.
int main(int argc, char** argv) {
    if (argc < 2 || std::strcmp(argv[1], "plugin-host") != 0)
        return 64;
    things::HostLimits limits;
    limits.walls = THINGS_HOST_WALLS;
    limits.kernel = THINGS_HOST_LANDLOCK;
    return things::run_plugin_host(argc - 1, argv + 1, limits);
}
