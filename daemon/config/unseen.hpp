// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// Characters that nobody sees: blanks that are not the space bar's, marks without width, controls. They come
// along when text is copied from a web page or a PDF, and make a right-looking name or number wrong. Pure;
// any thread.
namespace things {

struct Unseen {
    std::size_t at = 0;     ///< byte where it begins
    std::size_t length = 0; ///< in bytes
    std::size_t index = 0;  ///< characters before it
    char32_t code = 0;
    /// "U+00A0 (no-break space)"
    [[nodiscard]] std::string name() const;
};

/// The first one in a UTF-8 text. The space, tabs and line ends are not among them.
[[nodiscard]] std::optional<Unseen> find_unseen(std::string_view text);

/// The text with each of them as "<U+00A0>", for messages.
[[nodiscard]] std::string show_unseen(std::string_view text);
/// The text without them.
[[nodiscard]] std::string drop_unseen(std::string_view text);

} // namespace things
