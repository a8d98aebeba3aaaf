// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

// What a shell may offer next. The shells' own parts are in packaging/completion; they run the hidden
// subcommand `complete`.
namespace things::cli {

/// Prints what could stand in place of the last of `words` (behind the program's name, the last one perhaps
/// empty): one candidate a line, a tab, what it means. Or one line, `:files` or `:directories`: the shell's
/// own names fit. Names of sources, devices and points come from the configuration, if it loads; silent about
/// mistakes.
/// Loads the configuration and the plugins, so it takes as long as `check`.
void complete(const CLI::App& app, const std::vector<std::string>& words);

} // namespace things::cli
