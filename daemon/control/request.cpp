// SPDX-License-Identifier: Apache-2.0
#include "control/request.hpp"

#include "platform/json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

namespace things {

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::string_view version_path = "/v1/";
constexpr std::size_t max_depth = 8;
constexpr std::size_t max_arguments = 32, max_items = 1000, max_verb = 40;

ParsedRequest refused(std::string reason) {
    ParsedRequest parsed;
    parsed.reason = std::move(reason);
    return parsed;
}

std::optional<std::string> text_of(element value) {
    switch (value.type()) {
    case element_type::STRING:
        return std::string(value.get_string().value_unsafe());
    case element_type::INT64:
        return std::to_string(value.get_int64().value_unsafe());
    case element_type::UINT64:
        return std::to_string(value.get_uint64().value_unsafe());
    case element_type::DOUBLE:
        return json_number(value.get_double().value_unsafe());
    case element_type::BOOL:
        return value.get_bool().value_unsafe() ? "true" : "false";
    default:
        return std::nullopt;
    }
}

/// One argument: a scalar, or an array of scalars.
bool read_items(element value, std::vector<std::string>& items) {
    simdjson::dom::array array;
    if (value.get(array) != simdjson::SUCCESS) {
        auto text = text_of(value);
        if (text)
            items.push_back(std::move(*text));
        return text.has_value();
    }
    for (const element item : array) {
        auto text = text_of(item);
        if (!text || items.size() == max_items)
            return false;
        items.push_back(std::move(*text));
    }
    return true;
}

bool is_verb(std::string_view verb) {
    if (verb.empty() || verb.size() > max_verb)
        return false;
    return verb.find_first_not_of("abcdefghijklmnopqrstuvwxyz_ ") == std::string_view::npos;
}

ParsedRequest read_object(simdjson::dom::object object) {
    ControlRequest request;
    for (const auto field : object) {
        const std::string key(field.key);
        std::vector<std::string> items;
        if (request.arguments.size() == max_arguments || key.size() > max_verb)
            return refused("too many or too long arguments");
        if (!read_items(field.value, items))
            return refused(
                fmt::format("'{}' is neither a text, a number, true or false, nor a list of them", key));
        // Which of the two was meant nobody can tell.
        if (!request.arguments.emplace(key, std::move(items)).second)
            return refused(fmt::format("'{}' is there twice", key));
    }
    ParsedRequest parsed;
    parsed.request = std::move(request);
    return parsed;
}

} // namespace

std::string ControlRequest::text(const std::string& name, const std::string& fallback) const {
    const auto found = arguments.find(name);
    return found == arguments.end() || found->second.empty() ? fallback : found->second.front();
}

const std::vector<std::string>& ControlRequest::list(const std::string& name) const {
    static const std::vector<std::string> none;
    const auto found = arguments.find(name);
    return found == arguments.end() ? none : found->second;
}

bool ControlRequest::is_set(const std::string& name) const {
    return text(name) == "true";
}

ParsedRequest parse_request(std::string_view verb, std::string_view body) {
    if (!is_verb(verb))
        return refused("there is no verb");
    if (body.size() > control_max_body)
        return refused(fmt::format("a body of more than {} bytes", control_max_body));
    ParsedRequest parsed;
    if (body.empty()) {
        parsed.request.emplace();
    } else {
        simdjson::dom::parser parser;
        // The depth is simdjson's to check: it stops before it nests deeper.
        if (parser.allocate(body.size(), max_depth) != simdjson::SUCCESS)
            return refused("no memory to read it");
        const simdjson::padded_string padded(body);
        element root;
        if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS)
            return refused(fmt::format("not valid JSON: {}", simdjson::error_message(error)));
        simdjson::dom::object object;
        if (root.get(object) != simdjson::SUCCESS)
            return refused("not a JSON object");
        parsed = read_object(object);
    }
    if (parsed.request)
        parsed.request->verb = verb;
    return parsed;
}

std::string verb_of(std::string_view path) {
    if (!path.starts_with(version_path))
        return {};
    std::string verb(path.substr(version_path.size()));
    std::replace(verb.begin(), verb.end(), '/', ' ');
    return verb;
}

std::string path_of(std::string_view verb) {
    std::string path(version_path);
    path += verb;
    std::replace(path.begin(), path.end(), ' ', '/');
    return path;
}

} // namespace things
