// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace things::cli {

/// Exit codes of every subcommand.
enum Exit { done = 0, failed = 1, usage = 64, unavailable = 69, configuration = 78 };

/// Parses the command line, runs one subcommand and returns its exit code. Throws nothing.
int run(int argc, char** argv);

} // namespace things::cli
