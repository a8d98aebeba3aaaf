// SPDX-License-Identifier: Apache-2.0
#include "config/syntax_problem.hpp"

#include "config/brackets.hpp"
#include "config/unseen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

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
        Words{"illegal flow end", "a closing bracket to which none was opened; take it out"},
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

char closing(char kind) {
    return kind == '{' ? '}' : kind == '[' ? ']' : kind;
}

/// The bracket that was forgotten: open where the parser stumbled, on an earlier line or before a bracket of
/// the other kind. What stands between looks right to a parser until then.
std::optional<Bracket> unclosed_bracket(const std::string& text, const Place& noticed,
                                        std::string_view said) {
    const bool may_be = said.find("flow not found") != std::string_view::npos ||
                        said.find("illegal block entry") != std::string_view::npos ||
                        said.find("illegal map value") != std::string_view::npos ||
                        said.find("illegal flow end") != std::string_view::npos ||
                        said.find("illegal document indicator") != std::string_view::npos ||
                        said.find("EOF") != std::string_view::npos;
    std::vector<Bracket> open;
    if (may_be)
        open = open_brackets(text, noticed.line, noticed.column, 64);
    if (open.empty())
        return std::nullopt;
    const std::string line = line_of(text, noticed.line - 1);
    const auto column = static_cast<std::size_t>(noticed.column - 1);
    const char found = column < line.size() ? line[column] : '\n';
    const bool is_other =
        (found == '}' && open.back().kind == '[') || (found == ']' && open.back().kind == '{');
    return open.back().line < noticed.line || is_other || found == '\n' ? std::optional(open.back())
                                                                        : std::nullopt;
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
    // Copied from a web page, it looks like a space and is none.
    for (int near = line; near >= 0 && near >= line - 1; --near)
        if (const std::optional<Unseen> unseen = find_unseen(line_of(text, near)))
            return {{noticed.file, near + 1, static_cast<int>(unseen->index) + 1},
                    Severity::error,
                    fmt::format(
                        "not YAML: an unseen character here, {}; put a plain space, or nothing, in its place",
                        unseen->name())};
    // A key whose colon has no space joins the next line, which is where the parser stumbles.
    for (int near = line; near >= 0 && near >= line - 1; --near)
        if (const std::size_t colon = tight_colon(line_of(text, near)); colon != std::string::npos)
            return {{noticed.file, near + 1, static_cast<int>(colon) + 1},
                    Severity::error,
                    "not YAML: a colon needs a space behind it, as in \"name: boiler\""};
    if (const std::optional<Bracket> open = unclosed_bracket(text, noticed, said))
        return {{noticed.file, open->line, open->column},
                Severity::error,
                fmt::format("not YAML: this {} is not closed; the missing {} was noticed in line {}",
                            open->kind, closing(open->kind), noticed.line)};
    return {noticed, Severity::error, fmt::format("not YAML: {}", plain_words(said))};
}

} // namespace things
