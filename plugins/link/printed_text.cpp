// SPDX-License-Identifier: Apache-2.0
#include "link/printed_text.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace things {

namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

std::optional<std::string> decode_hex(std::string_view text) {
    if (text.empty() || text.size() % 2 != 0)
        return std::nullopt;
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        int high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high < 0 || low < 0)
            return std::nullopt;
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

bool is_text(std::string_view bytes, bool ascii_only) {
    return std::all_of(bytes.begin(), bytes.end(), [ascii_only](char c) {
        auto byte = static_cast<unsigned char>(c);
        bool is_blank = byte == '\r' || byte == '\n' || byte == '\t';
        return is_blank || (byte >= 0x20 && byte < 0x7f) || (!ascii_only && byte >= 0x80);
    });
}

/// Length of the valid UTF-8 sequence at the start; 0 if there is none.
std::size_t utf8_length(std::string_view text) {
    auto lead = static_cast<unsigned char>(text.front());
    std::size_t length = lead < 0x80          ? 1
                         : (lead >> 5U) == 6  ? 2
                         : (lead >> 4U) == 14 ? 3
                         : (lead >> 3U) == 30 ? 4
                                              : 0;
    if (length == 0 || length > text.size() || lead == 0xc0 || lead == 0xc1 || lead > 0xf4)
        return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((static_cast<unsigned char>(text[i]) >> 6U) != 2)
            return 0;
    auto second = length > 1 ? static_cast<unsigned char>(text[1]) : 0U;
    bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    bool is_surrogate = lead == 0xed && second > 0x9f;
    return is_overlong || is_surrogate || (lead == 0xf4 && second > 0x8f) ? 0 : length;
}

} // namespace

std::string_view trimmed_blanks(std::string_view text) {
    auto is_blank = [](char c) {
        return c == ' ' || c == '\0' || c == '\t';
    };
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

std::string to_utf8(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        std::size_t length = utf8_length(bytes);
        auto byte = static_cast<unsigned char>(bytes.front());
        if (length == 0) {
            text += static_cast<char>(0xc0U | (byte >> 6U));
            text += static_cast<char>(0x80U | (byte & 0x3fU));
        } else if (byte < 0x20 || byte == 0x7f) {
            text += ' ';
        } else {
            text.append(bytes.substr(0, length));
        }
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return text;
}

std::string json_quoted(std::string_view text) {
    std::string quoted = "\"";
    for (char c : to_utf8(text)) {
        if (c == '"' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

std::string decode_text(std::string_view printed, bool ascii_only) {
    std::string_view plain = trimmed_blanks(printed);
    // Meters print texts as pairs of hexadecimal digits, but not all of them and not all texts.
    std::optional<std::string> decoded = decode_hex(plain);
    std::string_view bytes = decoded && is_text(*decoded, ascii_only) ? std::string_view(*decoded) : plain;
    return to_utf8(trimmed_blanks(bytes));
}

} // namespace things
