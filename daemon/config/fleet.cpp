// SPDX-License-Identifier: Apache-2.0
#include "config/fleet.hpp"

#include "config/section.hpp"
#include "config/unseen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace things {

namespace {

// More keys than any plugin has; a header of a hundred thousand columns is no table of devices.
constexpr std::size_t most_columns = 200;

struct Cell {
    std::string text;
    int line = 1, column = 1;
    bool quoted = false;
};
using Row = std::vector<Cell>;

std::string trim(const std::string& text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return text;
}

// Walks over the text, cell by cell.
class CsvText {
public:
    CsvText(const std::string& text, const std::string* file, Problems& problems)
        : text_(text), file_(file), problems_(problems) {
        if (text_.compare(0, 3, "\xef\xbb\xbf") == 0)
            at_ = 3;
        const std::string first = next_line();
        // `sep=;` is Excel's way to say it.
        if (lower(first.substr(0, 4)) == "sep=" && first.size() == 5) {
            separator_ = first[4];
            while (!at_end_of_line())
                advance();
            end_line();
            return;
        }
        // Spreadsheets of countries with a decimal comma write semicolons; what is copied out of one has
        // tabs.
        for (const char candidate : {';', '\t'})
            if (std::count(first.begin(), first.end(), candidate) >
                std::count(first.begin(), first.end(), separator_))
                separator_ = candidate;
    }
    /// The line that comes next, for messages.
    [[nodiscard]] std::string next_line() const {
        return text_.substr(at_, text_.find_first_of("\r\n", at_) - at_);
    }
    bool next_row(Row& row) {
        row.clear();
        if (at_ >= text_.size())
            return false;
        bool more = true;
        while (more) {
            row.push_back(next_cell());
            more = at_ < text_.size() && text_[at_] == separator_;
            if (more)
                advance();
        }
        end_line();
        return !is_broken_;
    }

private:
    [[nodiscard]] bool at_end_of_line() const {
        return at_ >= text_.size() || text_[at_] == '\n' || text_[at_] == '\r';
    }
    void end_line() {
        if (is_at(at_, '\r'))
            advance();
        if (is_at(at_, '\n'))
            advance();
    }
    void advance() {
        // A lone \r ends a line as well: spreadsheets on a Mac still write it.
        if (text_[at_] == '\n' || (text_[at_] == '\r' && !is_at(at_ + 1, '\n'))) {
            ++line_;
            column_ = 0;
        }
        // Columns count characters, not the bytes of UTF-8.
        if ((static_cast<unsigned char>(text_[at_]) & 0xc0U) != 0x80U)
            ++column_;
        ++at_;
    }
    [[nodiscard]] bool at_end_of_cell() const {
        const char c = text_[at_];
        return c == separator_ || c == '\n' || c == '\r';
    }
    [[nodiscard]] bool is_at(std::size_t at, char c) const { return at < text_.size() && text_[at] == c; }
    Cell next_cell() {
        Cell cell{"", line_, column_};
        if (at_ < text_.size() && text_[at_] == '"') {
            read_quoted(cell);
            cell.quoted = true;
        }
        const std::size_t begin = at_;
        while (at_ < text_.size() && !at_end_of_cell())
            advance();
        const std::string rest = trim(text_.substr(begin, at_ - begin));
        if (!cell.quoted)
            cell.text = rest;
        else if (!rest.empty())
            problems_.error({*file_, cell.line, cell.column},
                            "text behind the closing quote; double a quote inside quotes");
        if (const std::optional<Unseen> unseen = find_unseen(cell.text)) {
            problems_.error({*file_, cell.line,
                             cell.column + static_cast<int>(unseen->index) + static_cast<int>(cell.quoted)},
                            unseen_problem(*unseen));
            cell.text = drop_unseen(cell.text);
        }
        return cell;
    }
    void read_quoted(Cell& cell) {
        advance();
        while (at_ < text_.size()) {
            if (text_[at_] == '"') {
                advance();
                if (at_ >= text_.size() || text_[at_] != '"')
                    return;
            }
            cell.text += text_[at_];
            advance();
        }
        problems_.error({*file_, cell.line, cell.column}, "a quote that is not closed");
        is_broken_ = true;
    }

    const std::string& text_;
    const std::string* file_;
    Problems& problems_;
    std::size_t at_ = 0;
    int line_ = 1, column_ = 1;
    char separator_ = ',';
    bool is_broken_ = false;
};

Node make_node(const std::string* file, const Cell& cell, Node::Kind kind, const std::string& text) {
    Node node;
    node.kind = kind;
    node.line = cell.line;
    node.column = cell.column;
    node.file = file;
    node.text = text;
    node.quoted = false; // quotes of CSV protect separators and say nothing of the type
    return node;
}

// "Unit ID" is unit_id: people and spreadsheets dress headers up.
void undress(Row& header) {
    for (Cell& cell : header) {
        cell.text = lower(cell.text);
        std::replace(cell.text.begin(), cell.text.end(), ' ', '_');
    }
}

bool check_header(const Row& header, const std::string& line, const std::string* file, Problems& problems) {
    const std::size_t before = problems.errors();
    const Place start{*file, header.front().line, 1};
    if (header.size() > most_columns) {
        problems.error(start,
                       fmt::format("{} columns; a table of devices has at most {}. Is this the right file?",
                                   header.size(), most_columns));
        return false;
    }
    std::set<std::string_view> names;
    for (const Cell& cell : header) {
        const Place place{*file, cell.line, cell.column};
        if (cell.text.empty())
            problems.error(place, "a column without a name in the header");
        else if (!names.insert(cell.text).second)
            problems.error(place, fmt::format("column {} is there twice", quote(cell.text)));
    }
    for (const char* needed : {"name", "dvnuuid"})
        if (names.count(needed) == 0)
            problems.error(start,
                           fmt::format("the header has no column \"{}\"; the first line must be such as "
                                       "name,dvnuuid,secret_file,source,unit_id,profile; this one is {}",
                                       needed, quote(line)));
    return problems.errors() == before;
}

Node row_node(const Row& header, const Row& row, const std::string* file, Problems& problems) {
    Node map = make_node(file, row.front(), Node::Kind::map, "");
    for (std::size_t i = 0; i < header.size(); ++i) {
        // An empty cell is a key that was not given.
        if (row[i].text.empty())
            continue;
        const std::string& name = header[i].text;
        const bool is_secret = name == "secret" || name.rfind("secret_", 0) == 0;
        if (is_secret && map.find("secret"))
            problems.error({*file, row[i].line, row[i].column},
                           "a second secret in this row; leave all secret columns but one empty");
        Node value = make_node(file, row[i], Node::Kind::scalar, row[i].text);
        // A column secret_file becomes secret: {file: ...}, as in YAML.
        if (name.rfind("secret_", 0) != 0) {
            map.children.push_back(make_node(file, header[i], Node::Kind::scalar, name));
            map.children.push_back(std::move(value));
            continue;
        }
        Node from = make_node(file, row[i], Node::Kind::map, "");
        from.children.push_back(make_node(file, header[i], Node::Kind::scalar, name.substr(7)));
        from.children.push_back(std::move(value));
        map.children.push_back(make_node(file, header[i], Node::Kind::scalar, "secret"));
        map.children.push_back(std::move(from));
    }
    return map;
}

bool is_blank(const Row& row) {
    return std::all_of(row.begin(), row.end(), [](const Cell& cell) { return cell.text.empty(); });
}

} // namespace

std::vector<Node> read_fleet(const std::string& text, const std::string* file, Problems& problems) {
    std::vector<Node> devices;
    if (!is_text(text, *file, problems))
        return devices;
    CsvText table(text, file, problems);
    Row header, row;
    const std::string first = table.next_line();
    if (!table.next_row(header) || is_blank(header)) {
        problems.error({*file, 1, 1}, "the table is empty; its first line names the columns: "
                                      "name,dvnuuid,secret_file,source,unit_id,profile");
        return devices;
    }
    undress(header);
    if (!check_header(header, first, file, problems))
        return devices;
    std::size_t cells = 0;
    while (table.next_row(row)) {
        if (is_blank(row))
            continue;
        cells += row.size();
        if (cells > most_values) {
            problems.error({*file, row.front().line, 1}, too_many_values);
            break;
        }
        if (row.size() == header.size())
            devices.push_back(row_node(header, row, file, problems));
        else
            problems.error(
                {*file, row.front().line, 1},
                fmt::format("{} cells here, but the header names {} columns; leave a cell empty between two "
                            "separators instead of leaving it out",
                            row.size(), header.size()));
    }
    return devices;
}

} // namespace things
