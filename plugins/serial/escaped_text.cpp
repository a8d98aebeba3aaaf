// SPDX-License-Identifier: Apache-2.0
#include "serial/escaped_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace things {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Between '$' or '!' and the '*' for NMEA, else from the first byte covered on.
std::string_view covered_part(std::string_view sent, const ChecksumRules& rules) {
    bool is_nmea = rules.kind == ChecksumKind::nmea || rules.kind == ChecksumKind::nmea_optional;
    if (is_nmea && !sent.empty() && sent.back() == '*')
        sent.remove_suffix(1);
    std::size_t from = is_nmea ? 1 : rules.from;
    std::string_view covered = sent.substr(std::min(from, sent.size()));
    if (!is_nmea)
        covered.remove_suffix(std::min(rules.gap, covered.size()));
    return covered;
}

} // namespace

std::optional<std::string> unescape(std::string_view text, std::string& why) {
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            bytes += text[i];
            continue;
        }
        constexpr std::string_view letters = "rnt0\\", meanings("\r\n\t\0\\", 5);
        char letter = i + 1 < text.size() ? text[i + 1] : ' ';
        std::size_t known = letters.find(letter);
        if (known != std::string_view::npos) {
            bytes += meanings[known];
            ++i;
        } else if (letter == 'x' && i + 3 < text.size() && hex_digit(text[i + 2]) >= 0 &&
                   hex_digit(text[i + 3]) >= 0) {
            bytes += static_cast<char>(hex_digit(text[i + 2]) * 16 + hex_digit(text[i + 3]));
            i += 3;
        } else {
            why = fmt::format("\"\\{}\" is no escape; there are \\r \\n \\t \\0 \\\\ and \\xNN", letter);
            return std::nullopt;
        }
    }
    return bytes;
}

std::string escaped(std::string_view bytes, std::size_t most) {
    std::string text;
    for (char c : bytes.substr(0, most)) {
        if (c == '\r' || c == '\n')
            text += c == '\r' ? "\\r" : "\\n";
        else if (c >= 0x20 && c < 0x7f)
            text += c;
        else
            text += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    }
    return bytes.size() > most ? text + "..." : text;
}

std::string in_hex(std::string_view bytes, std::size_t most) {
    std::string text;
    for (char c : bytes.substr(0, most))
        text += fmt::format("{}{:02X}", text.empty() ? "" : " ", static_cast<unsigned char>(c));
    return bytes.size() > most ? text + " ..." : text;
}

bool is_text(std::string_view bytes) {
    auto printable = std::count_if(bytes.begin(), bytes.end(), [](char c) {
        return (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' || c == '\t';
    });
    return static_cast<std::size_t>(printable) * 4 >= bytes.size() * 3;
}

std::string shown_bytes(std::string_view bytes) {
    return is_text(bytes) ? fmt::format("\"{}\"", escaped(bytes)) : in_hex(bytes);
}

/// [+][0][width][.precision][d|f|x|X]
bool Template::parse_format(std::string_view text, Format& format) {
    auto take = [&text](char c) {
        bool is_there = !text.empty() && text.front() == c;
        text.remove_prefix(is_there ? 1 : 0);
        return is_there;
    };
    auto take_number = [&text] {
        int number = -1;
        while (!text.empty() && text.front() >= '0' && text.front() <= '9' && number < 10) {
            number = std::max(number, 0) * 10 + (text.front() - '0');
            text.remove_prefix(1);
        }
        return number;
    };
    format.has_sign = take('+');
    format.is_zero_padded = take('0');
    format.width = std::max(take_number(), 0);
    if (take('.')) {
        format.precision = take_number();
        if (format.precision < 0)
            return false;
    }
    if (!text.empty()) {
        format.kind = text.front();
        text.remove_prefix(1);
    }
    bool is_known = format.kind == 0 || std::string_view("dfxX").find(format.kind) != std::string_view::npos;
    bool is_whole = format.kind == 'd' || format.kind == 'x' || format.kind == 'X';
    return text.empty() && is_known && format.width <= 32 && format.precision <= 9 &&
           !(is_whole && format.precision >= 0);
}

std::optional<Template> Template::parse(std::string_view text, bool has_value, std::string& why) {
    Template result;
    std::string* part = &result.before_;
    while (!text.empty()) {
        std::size_t open = text.find('{');
        std::optional<std::string> bytes = unescape(text.substr(0, open), why);
        if (!bytes)
            return std::nullopt;
        *part += *bytes;
        if (open == std::string_view::npos)
            break;
        std::size_t close = text.find('}', open);
        std::string_view place =
            text.substr(open + 1, close == std::string_view::npos ? close : close - open - 1);
        if (close == std::string_view::npos || (place != "checksum" && place.substr(0, 5) != "value")) {
            // A brace of the device's own, as in JSON.
            *part += '{';
            text.remove_prefix(open + 1);
            continue;
        }
        text.remove_prefix(close + 1);
        if (place == "checksum") {
            if (result.has_checksum_) {
                why = "{checksum} stands there twice";
                return std::nullopt;
            }
            result.has_checksum_ = true;
            part = &result.end_;
            continue;
        }
        if (!has_value || result.has_value_ || result.has_checksum_) {
            why =
                has_value ? "{value} stands there twice, or behind {checksum}" : "{value} is for write alone";
            return std::nullopt;
        }
        result.has_value_ = true;
        part = &result.after_;
        if (place.size() > 5 && (place[5] != ':' || !parse_format(place.substr(6), result.format_))) {
            why = fmt::format(
                "\"{{{}}}\" is no format; it looks like {{value}}, {{value:05.1f}}, {{value:d}} or "
                "{{value:04X}}",
                place);
            return std::nullopt;
        }
    }
    if (has_value && !result.has_value_) {
        why = "{value} is missing: where the value is to stand";
        return std::nullopt;
    }
    return result;
}

std::optional<std::string> Template::show(const SentValue& value) const {
    if (value.is_text)
        return format_.kind == 0 ? std::optional(value.text) : std::nullopt;
    double number = value.number;
    if (!std::isfinite(number))
        return std::nullopt;
    bool is_whole = format_.kind == 'd' || format_.kind == 'x' || format_.kind == 'X';
    if (is_whole) {
        number = std::round(number);
        if (std::fabs(number) >= 9e15 || (format_.kind != 'd' && number < 0))
            return std::nullopt;
    }
    std::string spec = std::string("{:") + (format_.has_sign ? "+" : "") +
                       (format_.is_zero_padded ? "0" : "") +
                       (format_.width > 0 ? std::to_string(format_.width) : "");
    if (is_whole)
        return fmt::format(fmt::runtime(spec + format_.kind + "}"), static_cast<std::int64_t>(number));
    if (format_.kind == 0 && format_.precision < 0) {
        bool is_integer = number == std::floor(number) && std::fabs(number) < 9e15;
        return is_integer ? fmt::format(fmt::runtime(spec + "d}"), static_cast<std::int64_t>(number))
                          : fmt::format(fmt::runtime(spec + "}"), number);
    }
    return fmt::format(
        fmt::runtime(spec + "." + std::to_string(format_.precision < 0 ? 6 : format_.precision) + "f}"),
        number);
}

std::string Template::join(std::string_view shown, const ChecksumRules& rules) const {
    std::string sent = before_;
    sent.append(shown).append(after_);
    if (has_checksum_)
        sent += make_checksum(covered_part(sent, rules), rules);
    return sent + end_;
}

std::optional<std::string> Template::fill(const SentValue& value, const ChecksumRules& rules,
                                          std::string& shown) const {
    std::optional<std::string> text = show(value);
    if (!text)
        return std::nullopt;
    shown = *text;
    return join(shown, rules);
}

std::optional<double> Template::number_in(std::string_view shown) const {
    while (!shown.empty() && (shown.front() == ' ' || shown.front() == '+'))
        shown.remove_prefix(1);
    const char* end = shown.data() + shown.size();
    if (format_.kind == 'x' || format_.kind == 'X') {
        std::int64_t whole = 0;
        auto [rest, error] = std::from_chars(shown.data(), end, whole, 16);
        return error == std::errc() && rest == end ? std::optional(static_cast<double>(whole)) : std::nullopt;
    }
    double number = 0;
    auto [rest, error] = std::from_chars(shown.data(), end, number);
    return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

std::string Template::fill(const ChecksumRules& rules) const {
    return join("", rules);
}

} // namespace things
