// SPDX-License-Identifier: Apache-2.0
#include "link/decimal.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace things {

namespace {

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

std::optional<Decimal> to_decimal(double value) {
    if (!std::isfinite(value) || std::fabs(value) >= 1e18)
        return std::nullopt;
    // Room for any double in fixed notation: "-0.", 323 zeros and 17 digits.
    std::array<char, 400> text{};
    auto [end, error] =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc())
        return std::nullopt;
    return parse_decimal({text.data(), static_cast<std::size_t>(end - text.data())});
}

std::optional<Decimal> times(Decimal value, Decimal factor) {
    Decimal result{0, value.exponent + factor.exponent};
    if (__builtin_mul_overflow(value.digits, factor.digits, &result.digits))
        return std::nullopt;
    return result;
}

std::optional<Decimal> plus(Decimal a, Decimal b) {
    for (; a.exponent > b.exponent; --a.exponent)
        if (__builtin_mul_overflow(a.digits, std::int64_t{10}, &a.digits))
            return std::nullopt;
    for (; b.exponent > a.exponent; --b.exponent)
        if (__builtin_mul_overflow(b.digits, std::int64_t{10}, &b.digits))
            return std::nullopt;
    if (__builtin_add_overflow(a.digits, b.digits, &a.digits))
        return std::nullopt;
    return a;
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

} // namespace things
