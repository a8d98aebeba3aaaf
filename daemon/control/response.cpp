// SPDX-License-Identifier: Apache-2.0
#include "control/response.hpp"

#include <simdjson.h>

#include <sstream>

namespace things {

namespace {

std::string json_of(simdjson::dom::element value) {
    std::ostringstream out;
    out << simdjson::minify(value);
    return out.str();
}

} // namespace

std::optional<ControlResponse> parse_response(std::string_view line) {
    simdjson::dom::parser parser;
    const simdjson::padded_string padded(line);
    simdjson::dom::object object;
    if (parser.parse(padded).get(object) != simdjson::SUCCESS)
        return std::nullopt;
    ControlResponse response;
    simdjson::dom::element value;
    if (object["progress"].get(value) == simdjson::SUCCESS) {
        response.json = json_of(value);
        return response;
    }
    if (object["done"].get(response.is_done) != simdjson::SUCCESS || !response.is_done ||
        object["ok"].get(response.is_ok) != simdjson::SUCCESS)
        return std::nullopt;
    if (object["result"].get(value) == simdjson::SUCCESS)
        response.json = json_of(value);
    std::int64_t code = 0;
    if (object["exit"].get(code) == simdjson::SUCCESS && code > 0 && code < 256)
        response.exit_code = static_cast<int>(code);
    std::string_view error;
    if (object["error"].get(error) == simdjson::SUCCESS)
        response.error = error;
    return response;
}

} // namespace things
