// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.hpp"

#include <CLI/CLI.hpp>

namespace things::cli {

int run(int argc, char** argv) {
    CLI::App app{"KPN Things gateway"};
    CLI11_PARSE(app, argc, argv);
    return done;
}

} // namespace things::cli
