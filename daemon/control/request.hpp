// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A request of the control socket: its verb, and its body as arguments. Pure; any thread; bounded whatever
// the bytes are.
//
// The protocol is HTTP/1.1 on a Unix socket. A verb is a path, its arguments are a JSON object of at most
// control_max_body bytes; an empty body has none:
//   curl --unix-socket /run/kpn-things-gateway/control.sock -d '{"device":"boiler","points":["pump"]}'
//   http://gw/v1/read
// The body of the answer is one JSON object per line. With progress it comes in chunks, one line each.
//   {"progress":{"part":0.5}}                               none, one or several; then the status is 200
//   {"done":true,"ok":true,"result":{...}}                  exactly one, the last; 200
//   {"done":true,"ok":false,"exit":69,"error":"plc did not answer within 2 s"}      400, 404, 405, 413, 500
//   or 503
// Requests of one connection are answered one after the other.
namespace things {

inline constexpr std::size_t control_max_body = std::size_t{64} * 1024;

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

/// Refused, with words for the client: a body of more than control_max_body bytes, no JSON object, deeper
/// than 8 levels, more than 32 arguments or 1000 items in one, a key twice, an argument that is an object or
/// null, a verb that is not of a-z, `_` and space, 1 to 40 long. Costs one parser of the body's size.
[[nodiscard]] ParsedRequest parse_request(std::string_view verb, std::string_view body);
/// The verb of a path: "queue show" for "/v1/queue/show"; empty if it is not one of ours.
[[nodiscard]] std::string verb_of(std::string_view path);
/// "/v1/queue/show" for "queue show".
[[nodiscard]] std::string path_of(std::string_view verb);

} // namespace things
