// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/wide_integer.hpp"

#include <optional>

// Exact decimal arithmetic for scaling: 3 x 0.1 is 0.3, not 0.30000000000000004. A scale of 0.1 is kept as
// 1 x 10^-1, products are integers, and one correctly rounded step makes the double. Pure.
namespace things {

/// mantissa x 10^exponent.
/// Not normalised: 10 x 10^0 and 1 x 10^1 are the same number. The mantissa is trusted to 38 digits; what
/// would need more is "nothing" in each function that can meet it.
struct Decimal {
    WideInteger mantissa = 0;
    int exponent = 0;
};

/// The shortest decimal that reads back as `value`, which must be finite. The mantissa does not end in 0.
Decimal decimal_of(double value);
Decimal decimal_of(WideInteger value);

/// Nothing where the result does not fit.
/// Exact: mantissas are multiplied, exponents added; nothing is rounded.
std::optional<Decimal> multiply(Decimal a, Decimal b);
std::optional<Decimal> add(Decimal a, Decimal b);
/// a / b rounded to the nearest integer, halves away from zero. Nothing for b = 0 either.
/// For writing: the raw value nearest to what was asked.
std::optional<WideInteger> divide_to_integer(Decimal a, Decimal b);

/// Correctly rounded.
/// Beyond the range of a double it is infinite or 0. Up to 2^53 and 10^22 one division or multiplication is
/// exact enough; anything else goes through its decimal text.
double to_double(Decimal value);
/// The value if it is an integer by its form (exponent not negative) and fits into 64 bits and a sign.
std::optional<WideInteger> to_integer(Decimal value);

} // namespace things
