// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// Just enough HTTP/1.1 for the simulator. Written by hand, because the platform answers with an empty reason
// phrase and because answers must be spoilt byte by byte on demand. Pure values and functions.
namespace things::simulator {

struct Request {
    std::string method;
    std::string path;                                         // without the query
    std::map<std::string, std::string> query;                 // percent-decoded
    std::vector<std::pair<std::string, std::string>> headers; // names in lower case
    std::string body;
    bool keep_alive = true;

    /// The first header of that name (lower case), if any.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    [[nodiscard]] std::size_t count(std::string_view name) const;
};

/// Parses request line and headers, without the blank line; the text says what is wrong with them.
std::variant<Request, std::string> parse_head(std::string_view head);

/// The body's size: a number, or why it cannot be read (chunked, no length, two lengths).
std::variant<std::size_t, std::string> body_size(const Request& request);

/// What goes back, already as bytes, and how it is sent.
struct Answer {
    enum class Then { keep, close, reset, hang };
    std::string bytes;
    std::string more;             // sent after them, again and again,
    std::uint64_t more_bytes = 0; // up to so many bytes
    Then then = Then::keep;
    std::chrono::milliseconds delay{0}; // before the first byte
    std::chrono::milliseconds drip{0};  // between bytes; 0: all at once
    std::optional<std::size_t> device;  // whose request this was
};

/// Renders an answer as the platform does: empty reason phrase, Date, Content-Length, Connection.
std::string render(int status, std::string_view body, std::string_view content_type,
                   const std::vector<std::pair<std::string, std::string>>& headers, bool keep_alive);

} // namespace things::simulator
