// SPDX-License-Identifier: Apache-2.0
#include "link/printed_text.hpp"

#include "things_utf8.hpp"

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
