// SPDX-License-Identifier: Apache-2.0
#include "config/syntax_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace things {

namespace {

// What yaml-cpp says, in the words of somebody who does not know YAML's grammar.
std::string_view plain_words(std::string_view said) {
    struct Words {
        std::string_view said, plain;
    };
    static constexpr std::array words{
        Words{"illegal map value",
              "a colon where no value can begin; indent the key like its neighbours, and put "
              "text with \": \" in quotes"},
        Words{"end of map not found",
              "the lines of this mapping do not line up, or a colon is missing; give all its "
              "keys the same indentation"},
        Words{"end of sequence not found",
              "the entries of this list do not line up; give all dashes the same "
              "indentation"},
        Words{"end of map flow not found", "a closing }, a comma or a closing quote is missing"},
        Words{"end of sequence flow not found", "a closing ], a comma or a closing quote is missing"},
        Words{"EOF", "the file ends within quotes; close them"},
        Words{"illegal block entry", "a dash (-) where no list entry can begin; give it a line of its own"},
        Words{"illegal document indicator", "the file ends within quotes or brackets; close them"},
        Words{"illegal EOF in scalar", "the file ends within quotes; close them"},
        Words{"referenced anchor is not defined",
              "an alias (*name) whose anchor (&name) is not in this file; put "
              "text that begins with * in quotes"},
        Words{"unknown token",
              "a character that cannot begin a value (tab, @, `, % or an unmatched bracket); put the "
              "text in quotes, indent with spaces"},
    };
    for (const Words& entry : words)
        if (said.find(entry.said) != std::string_view::npos)
            return entry.plain;
    return said;
}

std::string line_of(const std::string& text, int line) {
    std::size_t begin = 0;
    for (int i = 0; i < line && begin != std::string::npos; ++i) {
        begin = text.find('\n', begin);
        if (begin != std::string::npos)
            ++begin;
    }
    if (begin == std::string::npos)
        return {};
    return text.substr(begin, text.find('\n', begin) - begin);
}

/// Column of a colon without the space that makes it one, as in "name:kitchen"; npos: there is none.
std::size_t tight_colon(const std::string& line) {
    const std::size_t begin = line.find_first_not_of(" -");
    const std::size_t colon = line.find(':');
    if (begin == std::string::npos || colon == std::string::npos || colon + 1 >= line.size())
        return std::string::npos;
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_';
    };
    const bool is_key =
        colon > begin && std::all_of(line.begin() + static_cast<std::ptrdiff_t>(begin),
                                     line.begin() + static_cast<std::ptrdiff_t>(colon), is_word);
    return is_key && line[colon + 1] != ' ' ? colon : std::string::npos;
}

} // namespace

Problem syntax_problem(const std::string& text, const Place& noticed, std::string_view said) {
    const int line = noticed.line - 1;
    const std::string bad = line_of(text, line);
    const std::size_t first = bad.find_first_not_of(' ');
    if (first != std::string::npos && bad[first] == '\t')
        return {{noticed.file, noticed.line, static_cast<int>(first) + 1},
                Severity::error,
                "a tab in the indentation; YAML wants spaces"};
    // A key whose colon has no space joins the next line, which is where the parser stumbles.
    for (int near = line; near >= 0 && near >= line - 1; --near)
        if (const std::size_t colon = tight_colon(line_of(text, near)); colon != std::string::npos)
            return {{noticed.file, near + 1, static_cast<int>(colon) + 1},
                    Severity::error,
                    "not YAML: a colon needs a space behind it, as in \"name: boiler\""};
    return {noticed, Severity::error, fmt::format("not YAML: {}", plain_words(said))};
}

} // namespace things
