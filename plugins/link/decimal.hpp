// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/wide_integer.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

// Exact decimal arithmetic for the numbers of devices and their scales: 3 x 0.1 is 0.3, not
// 0.30000000000000004. A scale of 0.1 is kept as 1 x 10^-1, products are integers, and one correctly rounded
// step makes the double. Pure.
namespace things {

/// mantissa x 10^exponent. "004.50" is 450 x 10^-2.
/// Not normalised: 10 x 10^0 and 1 x 10^1 are the same number. The mantissa is trusted to 38 digits; what
/// would need more is "nothing" in each function that can meet it.
struct Decimal {
    WideInteger mantissa = 0;
    int exponent = 0;
};

/// A whole number, or else the double nearest to the decimal.
using Amount = std::variant<std::int64_t, double>;

/// Optional sign, digits, at most one point (or comma) with digits; nothing else, at most 18 digits that
/// count. Leading zeros are free. At most 18 digits behind the point, too.
[[nodiscard]] std::optional<Decimal> parse_decimal(std::string_view text);
/// The shortest decimal that reads back as `value`, which must be finite. The mantissa does not end in 0.
[[nodiscard]] Decimal decimal_of(double value);
[[nodiscard]] Decimal decimal_of(WideInteger value);

/// Nothing where the result does not fit.
/// Exact: mantissas are multiplied, exponents added; nothing is rounded.
[[nodiscard]] std::optional<Decimal> multiply(Decimal a, Decimal b);
[[nodiscard]] std::optional<Decimal> add(Decimal a, Decimal b);
/// a / b rounded to the nearest integer, halves away from zero. Nothing for b = 0 either.
/// For writing: the raw value nearest to what was asked.
[[nodiscard]] std::optional<WideInteger> divide_to_integer(Decimal a, Decimal b);

/// Correctly rounded.
/// Beyond the range of a double it is infinite or 0. Up to 2^53 and 10^22 one division or multiplication is
/// exact enough; anything else goes through its decimal text.
[[nodiscard]] double to_double(Decimal value);
/// The value if it is an integer by its form (exponent not negative) and fits into 64 bits and a sign.
[[nodiscard]] std::optional<WideInteger> to_integer(Decimal value);
/// Never fails: a whole number that does not fit 64 bits becomes a double.
[[nodiscard]] Amount to_amount(Decimal value);
[[nodiscard]] double to_double(const Amount& amount);

} // namespace things
