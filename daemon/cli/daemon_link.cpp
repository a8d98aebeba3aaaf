// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/command_line.hpp"
#include "cli/print.hpp"

#include "control/client.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace things::cli {

DaemonAnswer ask(const Config& config, const std::string& verb, const std::string& arguments,
                 Milliseconds patience, const std::function<void(const std::string&)>& on_progress) {
    if (config.control_socket.empty())
        return {};
    ControlAnswer answer = ask_daemon(config.control_socket, verb, arguments, patience, on_progress);
    // Only then may the caller open bus and queue itself: a daemon that does not answer still holds them.
    if (answer.status == ControlAnswer::Status::absent)
        return {};
    if (answer.status == ControlAnswer::Status::ok)
        return {true, done, std::move(answer.result)};
    print_line(stderr, "error: {}", answer.error);
    return {true, answer.exit_code, {}};
}

} // namespace things::cli
