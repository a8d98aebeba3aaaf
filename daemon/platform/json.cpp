// SPDX-License-Identifier: Apache-2.0
#include "platform/json.hpp"

#include "things_utf8.hpp"

#include <fmt/format.h>

#include <cassert>
#include <cmath>
#include <type_traits>

namespace things {

namespace {

void append_ascii(std::string& out, char c) {
    switch (c) {
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
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            out += c;
    }
}

} // namespace

std::string json_string(std::string_view text) {
    std::string out = "\"";
    out.reserve(text.size() + 2);
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 1)
            // A length of one is ASCII; everything longer is UTF-8 that JSON takes as it is.
            append_ascii(out, text.front());
        else if (length == 0)
            // U+FFFD for each byte that is no UTF-8: the document stays valid JSON.
            out += "\xEF\xBF\xBD";
        else
            out += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out + '"';
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
    assert(!closers_.empty());
    text_ += closers_.back();
    closers_.pop_back();
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    assert(!closers_.empty() && closers_.back() == '}');
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
