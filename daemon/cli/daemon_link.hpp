// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <functional>
#include <optional>
#include <string>

namespace things::cli {

/// What the running daemon answered.
struct DaemonAnswer {
    bool is_running = false; ///< false: nobody listens on the control socket, the caller may act itself
    int exit_code = 0;
    std::string result; ///< JSON; with exit code 0
};

/// Asks the running daemon. A refusal is printed to stderr. Waits as long as it makes progress, at most
/// `patience` between two lines.
/// `arguments` is a JSON object, or empty (control/request.hpp). Somebody without the right to ask gets
/// `is_running` with an exit code: the bus is then not theirs to open.
DaemonAnswer ask(const Config& config, const std::string& verb, const std::string& arguments,
                 Milliseconds patience, const std::function<void(const std::string&)>& on_progress = {});

} // namespace things::cli
