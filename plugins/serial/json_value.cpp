// SPDX-License-Identifier: Apache-2.0
#include "serial/json_value.hpp"

#include <simdjson.h>

namespace things {

struct JsonReader::Parser {
    simdjson::dom::parser parser{65536};
};

JsonReader::JsonReader() : parser_(std::make_unique<Parser>()) {}
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader::~JsonReader() = default;

std::optional<JsonValue> JsonReader::find(std::string_view text, std::string_view pointer) {
    simdjson::dom::element root, value;
    // true: a copy with room behind it is made, since simdjson reads some bytes beyond the end.
    if (parser_->parser.parse(text.data(), text.size(), true).get(root) != simdjson::SUCCESS ||
        root.at_pointer(pointer).get(value) != simdjson::SUCCESS)
        return std::nullopt;
    std::string_view shown;
    switch (value.type()) {
    case simdjson::dom::element_type::BOOL:
        return bool(value);
    case simdjson::dom::element_type::INT64:
        return std::int64_t(value);
    case simdjson::dom::element_type::UINT64:
        return std::uint64_t(value);
    case simdjson::dom::element_type::DOUBLE:
        return double(value);
    case simdjson::dom::element_type::STRING:
        if (value.get(shown) == simdjson::SUCCESS)
            return std::string(shown);
        return std::nullopt;
    default:
        return std::nullopt;
    }
}

bool is_json_pointer(std::string_view text) {
    if (text.empty() || text[0] != '/')
        return false;
    for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1))
        if (at + 1 >= text.size() || (text[at + 1] != '0' && text[at + 1] != '1'))
            return false;
    return true;
}

} // namespace things
