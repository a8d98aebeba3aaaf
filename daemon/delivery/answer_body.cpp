// SPDX-License-Identifier: Apache-2.0
#include "delivery/answer_body.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace things {

namespace {

// A browser looks no further to tell what a document is; a title behind this is not worth the search.
constexpr std::size_t looked_at = 4096;
constexpr std::size_t gist_length = 60;
constexpr std::string_view white_space(" \t\r\n\f\v", 6);

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool begins_with(std::string_view text, std::string_view start) {
    return text.size() >= start.size() &&
           std::equal(start.begin(), start.end(), text.begin(), [](char a, char b) { return a == lower(b); });
}

/// The beginning of the body in lower case and without byte order mark. UTF-16 becomes readable when its
/// zero bytes are left out, as far as a tag's name goes.
std::string head_of(std::string_view body) {
    body = body.substr(0, looked_at);
    const bool is_wide =
        body.size() >= 2 && (body.substr(0, 2) == "\xff\xfe" || body.substr(0, 2) == "\xfe\xff");
    if (is_wide)
        body.remove_prefix(2);
    else if (body.substr(0, 3) == "\xef\xbb\xbf")
        body.remove_prefix(3);
    std::string head;
    for (const char c : body)
        if (!is_wide || c != '\0')
            head += c;
    return head;
}

/// Takes away what may stand before the first tag, as far as it ends.
std::string_view without_prolog(std::string_view text) {
    for (;;) {
        text.remove_prefix(std::min(text.find_first_not_of(white_space), text.size()));
        const std::string_view end = text.substr(0, 4) == "<!--" ? "-->"
                                     : text.substr(0, 2) == "<?" ? "?>"
                                                                 : "";
        const std::size_t at = end.empty() ? std::string_view::npos : text.find(end);
        if (at == std::string_view::npos)
            return text;
        text.remove_prefix(at + end.size());
    }
}

/// One code point from the front of `text`, or 0 for a byte that is not UTF-8.
std::uint32_t take_code_point(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    std::uint32_t point = length == 1 ? first : first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        const unsigned char next = i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
        if ((next & 0xc0U) != 0x80) {
            text.remove_prefix(1);
            return 0;
        }
        point = (point << 6U) | (next & 0x3fU);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
    return length == 0 ? 0 : point;
}

/// Neither a control character nor one that hides or turns round what stands beside it.
bool is_printable(std::uint32_t point) {
    return point > 0x20 && (point < 0x7f || point > 0xa0) && point != 0xad &&
           !(point >= 0x200b && point <= 0x200f) && !(point >= 0x2028 && point <= 0x202e) &&
           !(point >= 0x2060 && point <= 0x206f) && point != 0x61c && point != 0xfeff &&
           !(point >= 0xd800 && point <= 0xdfff) && !(point >= 0xe0000 && point <= 0xe0fff);
}

using simdjson::dom::element;

} // namespace

bool is_html_type(std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t,"));
    constexpr std::string_view html = "text/html", xhtml = "application/xhtml+xml";
    return (type.size() == html.size() && begins_with(type, html)) ||
           (type.size() == xhtml.size() && begins_with(type, xhtml));
}

bool is_html(std::string_view body) {
    static constexpr std::array<std::string_view, 22> tags = {
        "<!doctype html", "<html",  "<head",   "<title",    "<meta", "<link",    "<base", "<body",
        "<script",        "<style", "<iframe", "<frameset", "<h1",   "<div",     "<font", "<table",
        "<center",        "<a",     "<b",      "<br",       "<p",    "<noscript"};
    const std::string head = head_of(body);
    const std::string_view text = without_prolog(head);
    if (begins_with(text, "<!--")) // a comment longer than is looked at: no other kind of answer begins so
        return true;
    return std::any_of(tags.begin(), tags.end(), [text](std::string_view tag) {
        const char next = text.size() > tag.size() ? text[tag.size()] : '>';
        return begins_with(text, tag) &&
               (next == '>' || next == '/' || white_space.find(next) != std::string_view::npos);
    });
}

bool is_senml(std::string_view body) {
    simdjson::dom::parser parser;
    element root;
    simdjson::dom::array records;
    // The parser copies the body, since it reads beyond the end.
    if (parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS ||
        root.get_array().get(records) != simdjson::SUCCESS || records.begin() == records.end())
        return false;
    // What the records ask for is for others to judge: here they only show who answered.
    bool has_name = false;
    for (const element item : records) {
        simdjson::dom::object object;
        std::string_view name;
        if (item.get_object().get(object) != simdjson::SUCCESS)
            return false;
        for (const char* label : {"n", "bn"})
            has_name |= object[label].get_string().get(name) == simdjson::SUCCESS;
    }
    return has_name;
}

std::string gist_of(std::string_view body) {
    const std::string head = head_of(body);
    std::string_view text = head;
    if (is_html(body)) {
        std::string folded(text);
        std::transform(folded.begin(), folded.end(), folded.begin(), lower);
        const std::size_t tag = folded.find("<title");
        const std::size_t from = tag == std::string::npos ? tag : folded.find('>', tag);
        if (from == std::string::npos)
            return {};
        const std::size_t to = folded.find("</title", from);
        text = text.substr(from + 1, to == std::string::npos ? to : to - from - 1);
    }
    std::string gist;
    bool is_space_due = false;
    for (std::size_t count = 0; !text.empty() && count < gist_length;) {
        const std::string_view before = text;
        const std::uint32_t point = take_code_point(text);
        if (!is_printable(point)) {
            is_space_due = !gist.empty();
            continue;
        }
        if (std::exchange(is_space_due, false)) {
            gist += ' ';
            ++count;
        }
        if (count++ < gist_length)
            gist += before.substr(0, before.size() - text.size());
    }
    return gist;
}

} // namespace things
