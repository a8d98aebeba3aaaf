// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

// Where the brackets of a YAML text stand. yaml-cpp reads a whole { } or [ ] into memory before its first
// event, some 250 bytes per bracket, so depth and number must be known before it sees the text; and it
// notices a missing bracket lines too late. Pure; any thread.
namespace things {

/// A [ or { that begins a list or mapping, not one in quotes, comments or running text; or a quote (" or ')
/// that nothing closes.
struct Bracket {
    char kind = '[';
    int line = 1, column = 1; ///< from 1, columns in bytes, as yaml-cpp counts
};

/// Those that are still open before `line`:`column`, outermost first. Ends early at the first one that lies
/// deeper than `most_depth`; the list then has one entry more than that.
/// Exact for text that is YAML; in other text quotes may hide brackets, which is why their plain number is
/// bounded too.
[[nodiscard]] std::vector<Bracket> open_brackets(std::string_view text, int line, int column,
                                                 std::size_t most_depth);

} // namespace things
