// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Text from outside (platform, device, plugin, file) on its way to a terminal, a log or a list. Everything
// that a terminal would obey, that ends a line or that turns the order of characters around is shown, not
// sent: control characters (C0, DEL, C1), U+2028, U+2029, the bidirectional marks, and bytes that are not
// UTF-8. Any thread.
// Example: "a\n\x1b[2J\u202e" is shown as a\x0a\x1b[2J\u{202e}
namespace things {

/// How the first character of `text` is to be treated: its length in bytes, and whether it must not be sent
/// to a terminal as it is. `code` is its code point, or the byte if it is not UTF-8.
struct LeadingCharacter {
    std::size_t length = 1;
    bool is_printable = false;
    bool is_utf8 = false;
    char32_t code = 0;
};
/// `text` must not be empty.
[[nodiscard]] LeadingCharacter leading_character(std::string_view text);

inline constexpr std::size_t printable_most = 4096;
/// At most `most` bytes and "..." where more was left out; a character is never cut in two.
[[nodiscard]] std::string printable(std::string_view text, std::size_t most = printable_most);

} // namespace things
