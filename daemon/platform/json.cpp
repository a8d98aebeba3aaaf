// SPDX-License-Identifier: Apache-2.0
#include "platform/json.hpp"

#include <fmt/format.h>

#include <cassert>
#include <cmath>
#include <type_traits>

namespace things {

namespace {

/// Length of the UTF-8 sequence at the start of `text`, 0 if it is none (RFC 3629: no surrogates, no
/// overlong forms, nothing above U+10FFFF).
std::size_t sequence_length(std::string_view text) {
    const auto byte = [text](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto is_tail = [](unsigned b) {
        return (b & 0xC0U) == 0x80U;
    };
    const unsigned a = byte(0), b = byte(1);
    if (a < 0x80)
        return 1;
    if (a >= 0xC2 && a <= 0xDF)
        return is_tail(b) ? 2 : 0;
    if (a >= 0xE0 && a <= 0xEF) {
        const bool fits = is_tail(b) && !(a == 0xE0 && b < 0xA0) && !(a == 0xED && b > 0x9F);
        return fits && is_tail(byte(2)) ? 3 : 0;
    }
    if (a >= 0xF0 && a <= 0xF4) {
        const bool fits = is_tail(b) && !(a == 0xF0 && b < 0x90) && !(a == 0xF4 && b > 0x8F);
        return fits && is_tail(byte(2)) && is_tail(byte(3)) ? 4 : 0;
    }
    return 0;
}

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
        const auto length = sequence_length(text);
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
