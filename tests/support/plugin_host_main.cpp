// SPDX-License-Identifier: Apache-2.0
#include "polling/conformance.hpp"
#include "polling/plugin_host.hpp"

#include <cstdio>
#include <cstring>

#ifndef THINGS_HOST_WALLS
#define THINGS_HOST_WALLS true
#endif
#ifndef THINGS_HOST_LANDLOCK
#define THINGS_HOST_LANDLOCK (-1)
#endif

// What the daemon's hidden subcommand does, alone, for tests that do not want the whole daemon; and with
// `test FILE.so` the conformance test.
int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[1], "test") == 0) {
        const bool passed = things::test_plugin(argv[2], {}, {}, [](const things::Finding& finding) {
            static constexpr const char* grades[] = {"pass", "warning", "FAIL"};
            std::printf("%-8s%s%s%s\n", grades[static_cast<int>(finding.grade)], finding.what.c_str(),
                        finding.text.empty() ? "" : ": ", finding.text.c_str());
        });
        return passed ? 0 : 1;
    }
    if (argc < 2 || std::strcmp(argv[1], "plugin-host") != 0)
        return 64;
    things::HostLimits limits;
    limits.walls = THINGS_HOST_WALLS;
    limits.kernel = THINGS_HOST_LANDLOCK;
    return things::run_plugin_host(argc - 1, argv + 1, limits);
}
