// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_host.hpp"

#include <cstring>

// What the daemon's hidden subcommand does, alone, for tests that do not want the whole daemon.
int main(int argc, char** argv) {
    if (argc < 2 || std::strcmp(argv[1], "plugin-host") != 0)
        return 64;
    return things::run_plugin_host(argc - 1, argv + 1);
}
