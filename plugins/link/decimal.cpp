// SPDX-License-Identifier: Apache-2.0
#include "link/decimal.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace things {

namespace {

constexpr int most_digits = 38; // of a WideInteger

constexpr std::array<double, 23> exact_powers{1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

WideInteger power_of_ten(int exponent) {
    WideInteger result = 1;
    for (int i = 0; i < exponent; ++i)
        result *= 10;
    return result;
}

std::optional<WideInteger> shifted(WideInteger mantissa, int digits) {
    if (mantissa == 0)
        return 0;
    if (digits < 0 || digits >= most_digits)
        return std::nullopt;
    WideInteger result = 0;
    if (multiply_overflows(mantissa, power_of_ten(digits), &result))
        return std::nullopt;
    return result;
}

WideInteger magnitude(WideInteger value) {
    return value < 0 ? -value : value;
}

// Writes -ddd...e-nn and lets the library round: the rare case, hence not fast.
double through_text(Decimal value) {
    std::array<char, 64> text{};
    char* at = text.data() + text.size() - 8;
    const auto end = std::to_chars(at + 1, text.data() + text.size(), value.exponent).ptr;
    *at = 'e';
    WideInteger rest = magnitude(value.mantissa);
    do {
        *--at = static_cast<char>('0' + static_cast<int>(rest % 10));
        rest /= 10;
    } while (rest != 0);
    double result = 0;
    const auto [stop, error] = std::from_chars(at, end, result);
    if (error == std::errc::result_out_of_range)
        result = value.exponent > 0 ? HUGE_VAL : 0;
    return value.mantissa < 0 ? -result : result;
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
        if (c < '0' || c > '9' || result.mantissa > limit / 10)
            return std::nullopt;
        has_digit = true;
        result.mantissa = result.mantissa * 10 + (c - '0');
        result.exponent -= has_point ? 1 : 0;
        if (result.exponent < -18)
            return std::nullopt;
    }
    if (!has_digit || text.back() == '.' || text.back() == ',')
        return std::nullopt;
    if (is_negative)
        result.mantissa = -result.mantissa;
    return result;
}

Decimal decimal_of(double value) {
    std::array<char, 32> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific).ptr;
    Decimal result;
    int digits_after_point = 0;
    bool point = false;
    const char* at = text.data();
    for (; at != end && *at != 'e'; ++at) {
        if (*at == '.') {
            point = true;
        } else if (*at != '-') {
            result.mantissa = result.mantissa * 10 + (*at - '0');
            digits_after_point += point ? 1 : 0;
        }
    }
    if (at != end) {
        at += at[1] == '+' ? 2 : 1; // from_chars knows no plus sign
        std::from_chars(at, end, result.exponent);
    }
    result.exponent -= digits_after_point;
    if (result.mantissa == 0)
        return {};
    while (result.mantissa % 10 == 0) {
        result.mantissa /= 10;
        ++result.exponent;
    }
    if (std::signbit(value))
        result.mantissa = -result.mantissa;
    return result;
}

Decimal decimal_of(WideInteger value) {
    return {value, 0};
}

std::optional<Decimal> multiply(Decimal a, Decimal b) {
    Decimal result{0, a.exponent + b.exponent};
    if (multiply_overflows(a.mantissa, b.mantissa, &result.mantissa))
        return std::nullopt;
    return result;
}

std::optional<Decimal> add(Decimal a, Decimal b) {
    if (a.mantissa == 0)
        return b;
    if (b.mantissa == 0)
        return a;
    Decimal result{0, std::min(a.exponent, b.exponent)};
    const auto left = shifted(a.mantissa, a.exponent - result.exponent);
    const auto right = shifted(b.mantissa, b.exponent - result.exponent);
    if (!left || !right || add_overflows(*left, *right, &result.mantissa))
        return std::nullopt;
    return result;
}

std::optional<WideInteger> divide_to_integer(Decimal a, Decimal b) {
    if (b.mantissa == 0)
        return std::nullopt;
    const int shift = a.exponent - b.exponent;
    const auto top = shift > 0 ? shifted(a.mantissa, shift) : std::optional(a.mantissa);
    const auto bottom = shift < 0 ? shifted(b.mantissa, -shift) : std::optional(b.mantissa);
    if (!top)
        return std::nullopt;
    if (!bottom)
        return 0; // far below one half
    const WideInteger divisor = magnitude(*bottom);
    WideInteger result = magnitude(*top) / divisor;
    const WideInteger rest = magnitude(*top) % divisor;
    if (rest >= divisor - rest)
        ++result;
    return (*top < 0) != (*bottom < 0) ? -result : result;
}

double to_double(Decimal value) {
    constexpr std::int64_t exact = std::int64_t{1} << 53;
    if (magnitude(value.mantissa) <= exact &&
        std::abs(value.exponent) < static_cast<int>(exact_powers.size())) {
        const double power = exact_powers[static_cast<std::size_t>(std::abs(value.exponent))];
        const auto mantissa = static_cast<double>(value.mantissa);
        return value.exponent < 0 ? mantissa / power : mantissa * power;
    }
    return through_text(value);
}

std::optional<WideInteger> to_integer(Decimal value) {
    if (value.exponent < 0)
        return std::nullopt;
    const auto result = shifted(value.mantissa, value.exponent);
    if (!result || magnitude(*result) >> 64 != 0)
        return std::nullopt;
    return result;
}

Amount to_amount(Decimal value) {
    Decimal plain = value;
    while (plain.exponent < 0 && plain.mantissa % 10 == 0 && plain.mantissa != 0) {
        plain.mantissa /= 10;
        ++plain.exponent;
    }
    if (plain.mantissa == 0)
        return std::int64_t{0};
    if (const auto whole = to_integer(plain); whole && *whole >= INT64_MIN && *whole <= INT64_MAX)
        return static_cast<std::int64_t>(*whole);
    return to_double(plain);
}

double to_double(const Amount& amount) {
    const auto* whole = std::get_if<std::int64_t>(&amount);
    return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(amount);
}

} // namespace things
