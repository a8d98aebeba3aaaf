// SPDX-License-Identifier: Apache-2.0
#include "p1/quantity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <string>

namespace things {

namespace {

// A meter prints kWh, KWH or "kWh "; the same table serves the unit that the configuration asks for.
constexpr UnitScale units[] = {
    {"Wh", "J", 36, 2},       {"kWh", "J", 36, 5},      {"MWh", "J", 36, 8},    {"J", "J", 1, 0},
    {"kJ", "J", 1, 3},        {"MJ", "J", 1, 6},        {"GJ", "J", 1, 9},      {"W", "W", 1, 0},
    {"kW", "W", 1, 3},        {"MW", "W", 1, 6},        {"vars", "vars", 1, 0}, {"varh", "vars", 36, 2},
    {"kvarh", "vars", 36, 5}, {"Mvarh", "vars", 36, 8}, {"var", "var", 1, 0},   {"kvar", "var", 1, 3},
    {"VA", "VA", 1, 0},       {"kVA", "VA", 1, 3},      {"VAs", "VAs", 1, 0},   {"VAh", "VAs", 36, 2},
    {"kVAh", "VAs", 36, 5},   {"V", "V", 1, 0},         {"kV", "V", 1, 3},      {"A", "A", 1, 0},
    {"Hz", "Hz", 1, 0},       {"m3", "m3", 1, 0},       {"dm3", "m3", 1, -3},   {"l", "m3", 1, -3},
    {"m3/h", "m3/h", 1, 0},   {"s", "s", 1, 0},         {"min", "s", 6, 1},     {"h", "s", 36, 2},
    {"count", "count", 1, 0}, {"%", "/", 1, -2},        {"/", "/", 1, 0},       {"bar", "Pa", 1, 5},
    {"Pa", "Pa", 1, 0},
};

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

/// digits x 10^exponent as the nearest double, by way of the correctly rounding parser.
double nearest(Decimal value) {
    std::array<char, 48> text{};
    char* end = std::to_chars(text.data(), text.data() + 24, value.digits).ptr;
    *end++ = 'e';
    end = std::to_chars(end, text.data() + text.size(), value.exponent).ptr;
    double result = 0;
    std::from_chars(text.data(), end, result);
    return result;
}

} // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
    constexpr std::int64_t limit = 999'999'999'999'999'999; // 18 nines
    bool is_negative = !text.empty() && text.front() == '-';
    if (is_negative || (!text.empty() && text.front() == '+'))
        text.remove_prefix(1);
    Decimal result;
    bool has_digit = false, has_point = false;
    for (char c : text) {
        if ((c == '.' || c == ',') && !has_point && has_digit) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9' || result.digits > limit / 10)
            return std::nullopt;
        has_digit = true;
        result.digits = result.digits * 10 + (c - '0');
        result.exponent -= has_point ? 1 : 0;
        if (result.exponent < -18)
            return std::nullopt;
    }
    if (!has_digit || text.back() == '.' || text.back() == ',')
        return std::nullopt;
    if (is_negative)
        result.digits = -result.digits;
    return result;
}

std::optional<Decimal> times(Decimal value, std::int64_t factor) {
    Decimal result = value;
    if (__builtin_mul_overflow(value.digits, factor, &result.digits))
        return std::nullopt;
    return result;
}

Amount to_amount(Decimal value) {
    Decimal rest = value;
    while (rest.exponent < 0 && rest.digits % 10 == 0) {
        rest.digits /= 10;
        ++rest.exponent;
        if (rest.digits == 0)
            return std::int64_t{0};
    }
    while (rest.exponent > 0) {
        if (__builtin_mul_overflow(rest.digits, std::int64_t{10}, &rest.digits))
            return nearest(value);
        --rest.exponent;
    }
    if (rest.exponent == 0)
        return rest.digits;
    return nearest(rest);
}

double to_double(const Amount& amount) {
    const auto* whole = std::get_if<std::int64_t>(&amount);
    return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(amount);
}

const UnitScale* find_unit(std::string_view text) {
    text = trimmed(text);
    // First as spelled (MW is no mW), then without regard to case.
    const auto* exact = std::find_if(std::begin(units), std::end(units),
                                     [text](const UnitScale& unit) { return unit.spelling == text; });
    if (exact != std::end(units))
        return exact;
    const auto* found = std::find_if(std::begin(units), std::end(units), [text](const UnitScale& unit) {
        return std::equal(unit.spelling.begin(), unit.spelling.end(), text.begin(), text.end(),
                          [](char a, char b) { return lower(a) == lower(b); });
    });
    return found == std::end(units) ? nullptr : found;
}

std::optional<Amount> convert(Decimal value, const UnitScale& from, const UnitScale& to) {
    if (from.primary != to.primary)
        return std::nullopt;
    value.exponent += from.exponent - to.exponent;
    if (from.multiplier == to.multiplier)
        return to_amount(value);
    if (std::optional<Decimal> scaled = times(value, from.multiplier); scaled) {
        if (scaled->digits % to.multiplier == 0)
            return to_amount({scaled->digits / to.multiplier, scaled->exponent});
        return to_double(to_amount(*scaled)) / to.multiplier;
    }
    return std::nullopt;
}

} // namespace things
