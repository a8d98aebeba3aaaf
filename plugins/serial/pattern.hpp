// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

// Regular expressions. RE2 runs in time that grows with the text alone, whatever the expression, and within
// bounded memory. The only user of RE2.
namespace things {

/// Immutable; at most 1 MiB of memory for each. Not anchored: ^ and $ must be written.
class Pattern {
public:
    /// Nothing if the expression is wrong, with the reason in `why`. Bytes count as Latin-1 characters.
    static std::optional<Pattern> parse(const std::string& expression, std::string& why);
    Pattern(Pattern&&) noexcept;
    Pattern& operator=(Pattern&&) noexcept;
    ~Pattern();

    /// As it was parsed.
    [[nodiscard]] const std::string& text() const;
    /// More than one is a mistake of the configuration.
    [[nodiscard]] int captures() const;
    [[nodiscard]] bool is_found_in(std::string_view text) const;
    /// The first capture, or all of the match if there is none. Nothing if the text does not match. Views
    /// into text.
    /// Nothing as well if the first capture took no part in the match.
    [[nodiscard]] std::optional<std::string_view> find_in(std::string_view text) const;

private:
    struct Expression;
    explicit Pattern(std::unique_ptr<Expression> expression);
    std::unique_ptr<Expression> expression_;
};

} // namespace things
