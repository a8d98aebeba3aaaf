// SPDX-License-Identifier: Apache-2.0
#include "serial/pattern.hpp"

// RE2 of Debian 12 warns about itself with -Wconversion and -Wpedantic.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#include <re2/re2.h>
#pragma GCC diagnostic pop

namespace things {

struct Pattern::Expression {
    RE2 re2;
    explicit Expression(const std::string& text, const RE2::Options& options) : re2(text, options) {}
};

Pattern::Pattern(std::unique_ptr<Expression> expression) : expression_(std::move(expression)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

std::optional<Pattern> Pattern::parse(const std::string& text, std::string& why) {
    RE2::Options options;
    // In UTF-8 a byte that is none would be matched by nothing, not even by a dot.
    options.set_encoding(RE2::Options::EncodingLatin1);
    // RE2 would write them to standard error.
    options.set_log_errors(false);
    // RE2's own default is 8 MiB for each expression, and each point may have several.
    options.set_max_mem(1 << 20);
    auto expression = std::make_unique<Expression>(text, options);
    if (!expression->re2.ok()) {
        why = expression->re2.error();
        return std::nullopt;
    }
    return Pattern(std::move(expression));
}

const std::string& Pattern::text() const {
    return expression_->re2.pattern();
}

int Pattern::captures() const {
    return expression_->re2.NumberOfCapturingGroups();
}

bool Pattern::is_found_in(std::string_view text) const {
    return expression_->re2.Match({text.data(), text.size()}, 0, text.size(), RE2::UNANCHORED, nullptr, 0);
}

std::optional<std::string_view> Pattern::find_in(std::string_view text) const {
    re2::StringPiece groups[2];
    int wanted = captures() > 0 ? 2 : 1;
    if (!expression_->re2.Match({text.data(), text.size()}, 0, text.size(), RE2::UNANCHORED, groups, wanted))
        return std::nullopt;
    const re2::StringPiece& group = groups[wanted - 1];
    if (group.data() == nullptr) // an optional capture that took no part
        return std::nullopt;
    return std::string_view(group.data(), group.size());
}

} // namespace things
