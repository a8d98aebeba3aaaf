// SPDX-License-Identifier: Apache-2.0
#include "control/request.hpp"
#include "control/response.hpp"
#include "platform/json.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// Any bytes as a body or a line of an answer on the control socket, in both directions; and any text as a
// JSON string, which must come back from the parser as it went in (or with its broken bytes replaced, which
// then stays as it is).
namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

std::string through_json(const std::string& text) {
    const auto parsed = things::parse_request("echo", "{\"text\":" + things::json_string(text) + "}");
    require(parsed.request.has_value());
    return parsed.request->text("text");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto parsed = things::parse_request("echo", line);
    require(parsed.request.has_value() == parsed.reason.empty());
    if (parsed.request)
        require(parsed.request->arguments.size() <= 32);
    (void)things::verb_of(line);
    (void)things::parse_response(line);
    if (size < 4096) {
        const auto once = through_json(std::string(line));
        require(through_json(once) == once);
    }
    return 0;
}
