// SPDX-License-Identifier: Apache-2.0
#include "platform/json.hpp"

#include "platform/printable.hpp"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <type_traits>

namespace things {

namespace {

/// As JSON writes a character that it, or a terminal, would not take as it is.
void append_escaped(std::string& out, char32_t code) {
    switch (code) {
    case '"':
        out += "\\\"";
        return;
    case '\\':
        out += "\\\\";
        return;
    case '\n':
        out += "\\n";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\t':
        out += "\\t";
        return;
    default:
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(code)); // all of them lie below U+10000
    }
}

} // namespace

std::string json_string(std::string_view text) {
    std::string out = "\"";
    out.reserve(text.size() + 2);
    while (!text.empty()) {
        const LeadingCharacter next = leading_character(text);
        if (!next.is_utf8)
            // U+FFFD for each byte that is no UTF-8: the document stays valid JSON.
            out += "\xEF\xBF\xBD";
        else if (!next.is_printable || next.code == '"' || next.code == '\\')
            append_escaped(out, next.code);
        else
            out += text.substr(0, next.length);
        text.remove_prefix(next.length);
    }
    return out + '"';
}

std::string printable_json(std::string_view json) {
    std::string out;
    while (!json.empty()) {
        const LeadingCharacter next = leading_character(json);
        if (next.is_printable)
            out += json.substr(0, next.length);
        else if (next.is_utf8)
            append_escaped(out, next.code);
        json.remove_prefix(next.length);
    }
    return out;
}

std::string json_number(double value) {
    if (!std::isfinite(value))
        return "null";
    return fmt::format("{}", value);
}

void JsonWriter::separate() {
    if (needs_comma_)
        text_ += ',';
    needs_comma_ = true;
}

JsonWriter& JsonWriter::object() {
    separate();
    text_ += '{';
    closers_.push_back('}');
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::array() {
    separate();
    text_ += '[';
    closers_.push_back(']');
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end() {
    if (closers_.empty())
        throw std::logic_error("JSON: nothing is open that could be ended");
    text_ += closers_.back();
    closers_.pop_back();
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    if (closers_.empty() || closers_.back() != '}')
        throw std::logic_error("JSON: a key outside of an object");
    separate();
    text_ += json_string(name);
    text_ += ':';
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    text_ += json;
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    return raw(json_string(text));
}

JsonWriter& JsonWriter::value(bool value) {
    return raw(value ? "true" : "false");
}

JsonWriter& JsonWriter::value(double value) {
    return raw(json_number(value));
}

JsonWriter& JsonWriter::value(std::int64_t value) {
    return raw(std::to_string(value));
}

JsonWriter& JsonWriter::value(std::uint64_t value) {
    return raw(std::to_string(value));
}

JsonWriter& JsonWriter::value(const Value& value) {
    std::visit([this](const auto& v) { this->value(v); }, value);
    return *this;
}

JsonWriter& JsonWriter::null() {
    return raw("null");
}

} // namespace things
