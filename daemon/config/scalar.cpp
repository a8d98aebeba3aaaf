// SPDX-License-Identifier: Apache-2.0
#include "config/scalar.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace things {

namespace {

struct Suffix {
    std::string_view text;
    std::int64_t factor;
};
constexpr std::array durations{Suffix{"d", 86'400'000}, Suffix{"h", 3'600'000}, Suffix{"m", 60'000},
                               Suffix{"s", 1000}, Suffix{"ms", 1}};
constexpr std::int64_t kibi = 1024;
constexpr std::array sizes{Suffix{"GiB", kibi* kibi* kibi},
                           Suffix{"MiB", kibi* kibi},
                           Suffix{"KiB", kibi},
                           Suffix{"GB", 1'000'000'000},
                           Suffix{"MB", 1'000'000},
                           Suffix{"kB", 1000},
                           Suffix{"KB", 1000},
                           Suffix{"B", 1}};

// Digits with at most one point in them: no sign, no exponent, no blanks but before the unit.
std::optional<double> parse_plain(std::string_view text) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0) || text.empty() ||
        text[0] == '-')
        return std::nullopt;
    return value;
}

template <typename Table>
std::optional<std::int64_t> with_suffix(std::string_view text, const Table& table) {
    const std::size_t split = text.find_first_not_of("0123456789.");
    if (split == std::string_view::npos || split == 0)
        return std::nullopt;
    std::string_view unit = text.substr(split);
    if (unit.front() == ' ')
        unit.remove_prefix(1);
    for (const Suffix& suffix : table) {
        if (unit != suffix.text)
            continue;
        const std::optional<double> number = parse_plain(text.substr(0, split));
        const double value = number ? *number * static_cast<double>(suffix.factor) : -1;
        // Beyond 9e15 a double is no longer exact; what would round to 0 is a mistake, since 0 often means
        // "never".
        if (value < 0 || value > 9e15 || (value > 0 && value < 0.5))
            return std::nullopt;
        return std::llround(value);
    }
    return std::nullopt;
}

template <typename Number>
bool parse_whole(std::string_view text, Number& value, int base) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc() && end == text.data() + text.size();
}

bool is_hexadecimal(std::string_view text) {
    return text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

} // namespace

std::optional<std::int64_t> parse_duration(std::string_view text) {
    if (text == "0")
        return 0;
    return with_suffix(text, durations);
}

std::optional<std::int64_t> parse_size(std::string_view text) {
    if (const std::optional<std::int64_t> bytes = parse_integer(text))
        return *bytes >= 0 ? bytes : std::nullopt;
    return with_suffix(text, sizes);
}

std::optional<bool> parse_boolean(std::string_view text) {
    for (const std::string_view word : {"true", "True", "TRUE", "yes", "Yes", "on", "On"})
        if (text == word)
            return true;
    for (const std::string_view word : {"false", "False", "FALSE", "no", "No", "off", "Off"})
        if (text == word)
            return false;
    return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    const bool minus = !text.empty() && text[0] == '-';
    std::string_view digits = text;
    if (!digits.empty() && (digits[0] == '-' || digits[0] == '+'))
        digits.remove_prefix(1);
    const bool hexadecimal = is_hexadecimal(digits);
    std::uint64_t value = 0;
    if (!parse_whole(hexadecimal ? digits.substr(2) : digits, value, hexadecimal ? 16 : 10))
        return std::nullopt;
    constexpr std::uint64_t most = std::uint64_t{1} << 63U;
    if (value > most - (minus ? 0U : 1U))
        return std::nullopt;
    return minus ? static_cast<std::int64_t>(~value + 1) : static_cast<std::int64_t>(value);
}

std::optional<std::int64_t> parse_whole_number(std::string_view text) {
    const std::size_t point = text.find('.');
    if (point != std::string_view::npos && point + 1 < text.size() &&
        text.find_first_not_of('0', point + 1) == std::string_view::npos)
        text = text.substr(0, point);
    return parse_integer(text);
}

std::optional<double> parse_number(std::string_view text) {
    if (const std::optional<std::int64_t> whole = parse_integer(text))
        return static_cast<double>(*whole);
    std::string_view digits = text;
    if (!digits.empty() && digits[0] == '+')
        digits.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value))
        return std::nullopt;
    return value;
}

Scalar guess_scalar(const Node& node) {
    const std::string& text = node.text;
    if (node.is_null())
        return {};
    if (node.quoted || text.empty())
        return text;
    // "on", "off", "yes" and "no" are texts here, as in YAML 1.2; only true and false are not.
    if (text[0] != 'o' && text[0] != 'O' && text[0] != 'y' && text[0] != 'Y' && text[0] != 'n' &&
        text[0] != 'N')
        if (const std::optional<bool> boolean = parse_boolean(text))
            return *boolean;
    if (const std::optional<std::int64_t> whole = parse_integer(text))
        return *whole;
    std::uint64_t large = 0;
    // Beyond int64: register masks and serial numbers.
    const bool hexadecimal = is_hexadecimal(text);
    if (parse_whole(hexadecimal ? std::string_view(text).substr(2) : std::string_view(text), large,
                    hexadecimal ? 16 : 10))
        return large;
    const char first = text[0];
    if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.')
        if (const std::optional<double> number = parse_number(text))
            return *number;
    return text;
}

std::string duration_text(std::int64_t ms) {
    if (ms == 0)
        return "0s";
    for (const Suffix& suffix : durations)
        if (ms % suffix.factor == 0)
            return fmt::format("{}{}", ms / suffix.factor, suffix.text);
    return fmt::format("{}ms", ms);
}

std::string size_text(std::int64_t bytes) {
    for (const Suffix& suffix : sizes)
        if (bytes != 0 && bytes % suffix.factor == 0 && suffix.text != "B")
            return fmt::format("{}{}", bytes / suffix.factor, suffix.text);
    return fmt::format("{}B", bytes);
}

std::string number_text(double number) {
    return fmt::format("{}", number);
}

} // namespace things
