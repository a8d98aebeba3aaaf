// SPDX-License-Identifier: Apache-2.0
#include "platform/printable.hpp"

#include "things_utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

bool is_plain(char c) {
    return c >= 0x20 && c < 0x7F;
}

char32_t code_point(std::string_view character) {
    const auto lead = static_cast<unsigned char>(character.front());
    if (character.size() == 1)
        return lead;
    char32_t code = lead & (0x7FU >> character.size());
    for (const char c : character.substr(1))
        code = code << 6 | (static_cast<unsigned char>(c) & 0x3FU);
    return code;
}

bool is_obeyed(char32_t code) {
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) || // C0, DEL, C1
           code == 0x2028 || code == 0x2029 ||              // separators of lines and paragraphs
           (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069); // bidirectional (UAX 9)
}

} // namespace

LeadingCharacter leading_character(std::string_view text) {
    const std::size_t length = utf8_length(text);
    if (length == 0)
        return {1, false, false, static_cast<unsigned char>(text.front())};
    const char32_t code = code_point(text.substr(0, length));
    return {length, !is_obeyed(code), true, code};
}

std::string printable(std::string_view text, std::size_t most) {
    std::string out;
    while (!text.empty()) {
        // Nearly always all of it.
        const auto plain =
            static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
        const std::size_t fits = std::min(plain, most - out.size());
        out += text.substr(0, fits);
        if (fits < plain)
            return out + "...";
        text.remove_prefix(plain);
        if (text.empty())
            break;
        const LeadingCharacter next = leading_character(text);
        std::string shown(text.substr(0, next.length));
        if (!next.is_printable)
            shown = next.code < 0x80 || !next.is_utf8
                        ? fmt::format("\\x{:02x}", static_cast<unsigned>(next.code))
                        : fmt::format("\\u{{{:x}}}", static_cast<unsigned>(next.code));
        if (out.size() + shown.size() > most)
            return out + "...";
        out += shown;
        text.remove_prefix(next.length);
    }
    return out;
}

} // namespace things
