// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// One line of the control socket as a request. Pure; any thread; bounded whatever the bytes are.
//
// The protocol: one JSON object a line, UTF-8, at most control_max_line bytes with its newline.
//   -> {"verb":"read","device":"boiler","points":["temperature","pump"]}
//   <- {"progress":{"part":0.5}}                               none, one or several
//   <- {"done":true,"ok":true,"result":{...}}                  exactly one, the last
//   <- {"done":true,"ok":false,"exit":69,"error":"plc did not answer within 2 s"}
// Requests of one connection are answered one after the other.
namespace things {

inline constexpr std::size_t control_max_line = std::size_t{64} * 1024;

/// The verb and its arguments; numbers and booleans arrive as their text ("3", "true").
struct ControlRequest {
    std::string verb;
    std::map<std::string, std::vector<std::string>> arguments;
    std::int64_t uid = -1, pid = -1; ///< of the process that asks (SO_PEERCRED); -1: not known

    /// The one text of an argument, or `fallback` if it was not given.
    /// Of a list its first. Never fails.
    [[nodiscard]] std::string text(const std::string& name, const std::string& fallback = {}) const;
    /// All texts of an argument; empty if it was not given. Valid as long as the request.
    [[nodiscard]] const std::vector<std::string>& list(const std::string& name) const;
    [[nodiscard]] bool is_set(const std::string& name) const; ///< given and "true"
};

/// Either a request or a reason, never both.
struct ParsedRequest {
    std::optional<ControlRequest> request;
    std::string reason; ///< if there is none: why not
};

/// `line` comes without its newline. Refused, with words for the client: more than control_max_line bytes, no
/// JSON object, deeper than 8 levels, more than 32 arguments or 1000 items in one, a key twice, an argument
/// that is an object or null, a verb that is not of a-z, `_` and space, 1 to 40 long. Costs one parser of the
/// line's size.
[[nodiscard]] ParsedRequest parse_request(std::string_view line);

} // namespace things
