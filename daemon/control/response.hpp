// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace things {

/// One line of the daemon's answer; see control/request.hpp for the protocol.
struct ControlResponse {
    bool is_done = false, is_ok = false;
    int exit_code = 1;
    std::string json;  ///< of a progress line or a result
    std::string error; ///< in words
};

/// Pure; none if the line is no response.
/// An exit code outside 1 to 255 is taken as 1. Unknown members are skipped, so an older command line
/// understands a younger daemon.
[[nodiscard]] std::optional<ControlResponse> parse_response(std::string_view line);

} // namespace things
