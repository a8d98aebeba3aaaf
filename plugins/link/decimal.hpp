// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

// Numbers as devices print them. They stay digits and a power of ten until they are handed out, never a
// binary fraction in between. Pure.
namespace things {

/// digits x 10^exponent. "004.50" is 450 x 10^-2.
/// Not normalised; what would need more than 18 digits is "nothing" in the functions that can meet it.
struct Decimal {
    std::int64_t digits = 0;
    int exponent = 0;
    friend bool operator==(const Decimal&, const Decimal&) = default;
};

/// A whole number, or else the double nearest to the decimal.
using Amount = std::variant<std::int64_t, double>;

/// Optional sign, digits, at most one point (or comma) with digits; nothing else, at most 18 digits that
/// count.
/// Leading zeros are free. At most 18 digits behind the point, too.
[[nodiscard]] std::optional<Decimal> parse_decimal(std::string_view text);
/// The shortest decimal that reads back as this double. Nothing if it needs more than 18 digits.
/// Below 1e18, finite.
[[nodiscard]] std::optional<Decimal> to_decimal(double value);
/// Nothing if the result does not fit.
[[nodiscard]] std::optional<Decimal> times(Decimal value, Decimal factor);
[[nodiscard]] std::optional<Decimal> plus(Decimal a, Decimal b);
/// Never fails: a whole number that does not fit 64 bits becomes a double, correctly rounded.
[[nodiscard]] Amount to_amount(Decimal value);
[[nodiscard]] double to_double(const Amount& amount);

} // namespace things
