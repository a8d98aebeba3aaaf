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
    [[nodiscard]] std::string text(const std::string& name, const std::string& fallback = {}) const;
    [[nodiscard]] const std::vector<std::string>& list(const std::string& name) const;
    [[nodiscard]] bool is_set(const std::string& name) const; ///< given and "true"
};

struct ParsedRequest {
    std::optional<ControlRequest> request;
    std::string reason; ///< if there is none: why not
};

[[nodiscard]] ParsedRequest parse_request(std::string_view line);

} // namespace things
