// SPDX-License-Identifier: Apache-2.0
#include "p1/object_line.hpp"

#include <algorithm>
#include <cstddef>

namespace things {

namespace {

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/// A group of a code: one to three letters or digits, leading zeros gone.
std::optional<std::string_view> take_group(std::string_view& text) {
    std::size_t length = 0;
    while (length < text.size() && is_alphanumeric(text[length]))
        ++length;
    if (length == 0 || length > 3)
        return std::nullopt;
    std::string_view group = text.substr(0, length);
    text.remove_prefix(length);
    while (group.size() > 1 && group.front() == '0')
        group.remove_prefix(1);
    return group;
}

/// Cuts group F off: "*255", "&02". False if something else stands there.
bool take_group_f(std::string_view& text, bool& is_billing) {
    std::size_t mark = text.find_first_of("*&");
    if (mark == std::string_view::npos)
        return true;
    std::string_view group = text.substr(mark + 1);
    is_billing = text[mark] == '&' || group != "255";
    text = text.substr(0, mark);
    return !group.empty() && group.size() <= 3 && std::all_of(group.begin(), group.end(), is_alphanumeric);
}

/// "A-B:" if it stands in front, else 1-0 as in mode C; the short "B:" of some logs counts as 0-B.
std::optional<std::string> take_medium_and_channel(std::string_view& text) {
    std::size_t colon = text.find(':');
    std::size_t dash = text.find('-');
    if (colon == std::string_view::npos || text.find('.') < colon)
        return dash == std::string_view::npos ? std::optional<std::string>("1-0:") : std::nullopt;
    std::string result;
    if (dash == std::string_view::npos) {
        result = "0-";
    } else {
        std::optional<std::string_view> medium = take_group(text);
        if (!medium || text.empty() || text.front() != '-')
            return std::nullopt;
        text.remove_prefix(1);
        result = std::string(*medium) + "-";
    }
    std::optional<std::string_view> channel = take_group(text);
    if (!channel || text.empty() || text.front() != ':')
        return std::nullopt;
    text.remove_prefix(1);
    return result + std::string(*channel) + ":";
}

} // namespace

std::optional<ObisCode> parse_obis(std::string_view text) {
    ObisCode code;
    if (text.size() > 32 || !take_group_f(text, code.is_billing))
        return std::nullopt;
    std::optional<std::string> front = take_medium_and_channel(text);
    if (!front)
        return std::nullopt;
    code.text = std::move(*front);
    for (int groups = 1;; ++groups) {
        std::optional<std::string_view> group = take_group(text);
        if (!group || groups > 4)
            return std::nullopt;
        if (groups <= 3) // the fourth is group F behind a point
            code.text.append(groups > 1 ? "." : "").append(*group);
        if (text.empty())
            return groups >= 2 ? std::optional(std::move(code)) : std::nullopt;
        if (text.front() != '.' && text.front() != ':')
            return std::nullopt;
        text.remove_prefix(1);
    }
}

std::optional<std::vector<std::string_view>> parse_fields(std::string_view text) {
    std::vector<std::string_view> fields;
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    while (!text.empty()) {
        if (text.front() != '(')
            return std::nullopt;
        // A field ends where ')' is followed by the next field or by nothing: "((ER11))" is one field.
        std::size_t end = text.find(")(");
        if (end == std::string_view::npos) {
            if (text.size() < 2 || text.back() != ')')
                return std::nullopt;
            end = text.size() - 1;
        }
        fields.push_back(text.substr(1, end - 1));
        text.remove_prefix(end + 1);
    }
    return fields;
}

std::optional<ObjectLine> parse_object_line(std::string_view line) {
    std::size_t open = line.find('(');
    if (open == std::string_view::npos || open == 0)
        return std::nullopt;
    std::optional<ObisCode> code = parse_obis(line.substr(0, open));
    std::optional<std::vector<std::string_view>> fields = parse_fields(line.substr(open));
    if (!code || !fields)
        return std::nullopt;
    return ObjectLine{std::move(*code), std::move(*fields)};
}

} // namespace things
