// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

// Texts as meters print them: as hexadecimal pairs, or plainly. Pure.
namespace things {

/// Without blanks and NULs around.
[[nodiscard]] std::string_view trimmed_blanks(std::string_view text);
/// Valid UTF-8 stays, other bytes are taken as Latin-1; control characters become blanks.
[[nodiscard]] std::string to_utf8(std::string_view bytes);
/// The text, made UTF-8, as a JSON string with its quotes.
/// Control characters are blanks already, so '"' and '\' are all there is to escape.
[[nodiscard]] std::string json_quoted(std::string_view text);
/// Pairs of hexadecimal digits are decoded if printable text comes out; else the text stays as printed.
/// `ascii_only`: for identifiers, where a plain number such as 8100000000000022 must not be taken for hex.
/// Blanks and NULs around go; the result is valid UTF-8, possibly empty.
[[nodiscard]] std::string decode_text(std::string_view printed, bool ascii_only);

} // namespace things
