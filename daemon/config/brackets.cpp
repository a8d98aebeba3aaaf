// SPDX-License-Identifier: Apache-2.0
#include "config/brackets.hpp"

#include <algorithm>

namespace things {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Walks over the tokens of YAML as far as they decide what a bracket means.
class Walk {
public:
    Walk(std::string_view text, int line, int column, std::size_t most_depth)
        : text_(text), last_line_(line), last_column_(column), most_depth_(most_depth) {}

    std::vector<Bracket> run() {
        while (!is_done())
            take_token();
        return std::move(open_);
    }

private:
    [[nodiscard]] bool is_done() const {
        return at_ >= text_.size() || open_.size() > most_depth_ || line_ > last_line_ ||
               (line_ == last_line_ && column_ >= last_column_);
    }
    /// The character `ahead` of the current one; beyond the end a line end, which ends every token.
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\n';
    }
    [[nodiscard]] bool is_flow() const { return !open_.empty(); }
    [[nodiscard]] bool ends_flow_text(char c) const {
        return is_flow() && (c == ',' || c == '[' || c == ']' || c == '{' || c == '}');
    }
    void advance() {
        if (text_[at_++] == '\n') {
            ++line_;
            column_ = 1;
        } else {
            ++column_;
        }
    }
    void skip_line() {
        while (at_ < text_.size() && text_[at_] != '\n')
            advance();
    }

    void take_token() {
        const char c = peek();
        if (column_ == 1 && (text_.substr(at_, 3) == "---" || text_.substr(at_, 3) == "...") &&
            is_blank(peek(3)))
            begin_document();
        else if (is_blank(c) || (c == ',' && is_flow()))
            advance();
        else if (c == '#' && (at_ == 0 || is_blank(text_[at_ - 1])))
            skip_line();
        else if (c == '[' || c == '{')
            open(c);
        else if ((c == ']' || c == '}') && is_flow())
            close();
        else if (c == '"' || c == '\'')
            take_quoted(c);
        else if ((c == '|' || c == '>') && !is_flow())
            take_block_text();
        else if ((c == '-' || c == '?') && is_blank(peek(1)))
            begin_entry(column_);
        else if (c == ':')
            end_key();
        else if (c == '&' || c == '*' || c == '!')
            take_property();
        else
            take_plain();
    }
    void begin_document() {
        for (int i = 0; i < 3; ++i)
            advance();
        open_.clear();
        owner_ = 0;
    }
    void open(char c) {
        open_.push_back({c, line_, column_});
        scalar_ = column_; // a list may be a key as well
        advance();
    }
    void close() {
        open_.pop_back();
        advance();
    }
    void begin_entry(int column) {
        if (!is_flow())
            owner_ = column;
        advance();
    }
    void end_key() {
        if (!is_flow())
            owner_ = scalar_;
        advance();
    }
    void take_quoted(char quote) {
        begin_scalar();
        const Bracket begin{quote, line_, column_};
        advance();
        while (at_ < text_.size()) {
            const char c = peek();
            const bool is_pair = quote == '"' ? c == '\\' : c == quote && peek(1) == quote;
            advance();
            if (is_pair && at_ < text_.size())
                advance();
            else if (c == quote && !is_pair)
                return;
        }
        open_.push_back(begin);
    }
    // Everything that is indented deeper than the key or dash it belongs to.
    void take_block_text() {
        skip_line();
        while (at_ < text_.size()) {
            const std::size_t begin = text_.find_first_not_of(" \n\r", at_);
            if (begin == std::string_view::npos || indentation(begin) < static_cast<std::size_t>(owner_))
                return;
            while (at_ < begin)
                advance();
            skip_line();
        }
    }
    void take_property() {
        while (!is_blank(peek()) && !ends_flow_text(peek()))
            advance();
    }
    void take_plain() {
        begin_scalar();
        advance(); // a hash, a colon or a closing bracket in first place is text here
        for (;;) {
            const char c = peek();
            if (at_ >= text_.size() || ends_flow_text(c) || (c == '#' && is_blank(text_[at_ - 1])) ||
                (c == ':' && (is_blank(peek(1)) || ends_flow_text(peek(1)))))
                return;
            // In a block the text goes on in the next line if that is indented deeper than its key.
            if (c == '\n' && !is_flow()) {
                const std::size_t begin = text_.find_first_not_of(" \n\r", at_);
                if (begin == std::string_view::npos || indentation(begin) < static_cast<std::size_t>(owner_))
                    return;
                while (at_ < begin)
                    advance();
                if (peek() == '#')
                    return;
            }
            advance();
        }
    }
    void begin_scalar() {
        scalar_ = column_;
        // A line that begins further left has left the mapping or list before it.
        if (!is_flow())
            owner_ = std::min(owner_, column_ - 1);
    }
    [[nodiscard]] std::size_t indentation(std::size_t at) const {
        const std::size_t line_end = text_.rfind('\n', at);
        return at - (line_end == std::string_view::npos ? 0 : line_end + 1);
    }

    std::string_view text_;
    int last_line_, last_column_;
    std::size_t most_depth_;
    std::size_t at_ = 0;
    int line_ = 1, column_ = 1;
    int owner_ = 0;  // column of the key or dash that the next text belongs to; 0: of none
    int scalar_ = 1; // column where the last text began: a key if a colon follows
    std::vector<Bracket> open_;
};

} // namespace

std::vector<Bracket> open_brackets(std::string_view text, int line, int column, std::size_t most_depth) {
    return Walk(text, line, column, most_depth).run();
}

} // namespace things
