// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

// Numbers as a meter prints them, and their units. A number stays digits and a power of ten until it is
// handed out, so 123456.789 kWh becomes exactly 123456789 Wh. Pure.
namespace things {

/// digits x 10^exponent. "004.50" is 450 x 10^-2.
struct Decimal {
    std::int64_t digits = 0;
    int exponent = 0;
    friend bool operator==(const Decimal&, const Decimal&) = default;
};

/// A whole number, or else the double nearest to the decimal.
using Amount = std::variant<std::int64_t, double>;

/// Optional sign, digits, at most one point (or comma) with digits; nothing else, at most 18 digits that
/// count.
[[nodiscard]] std::optional<Decimal> parse_decimal(std::string_view text);
/// Nothing if it does not fit.
[[nodiscard]] std::optional<Decimal> times(Decimal value, std::int64_t factor);
[[nodiscard]] Amount to_amount(Decimal value);
[[nodiscard]] double to_double(const Amount& amount);

/// A unit: how many of the primary SenML unit (RFC 8428, RFC 8798) one of it is: multiplier x 10^exponent.
struct UnitScale {
    std::string_view spelling; ///< "kWh"
    std::string_view primary;  ///< "J"
    int multiplier;            ///< 36
    int exponent;              ///< 5
};

/// Without regard to case and blanks around. Null if the unit is not known.
[[nodiscard]] const UnitScale* find_unit(std::string_view text);
/// The value in another unit of the same dimension. Nothing if the dimensions differ or it does not fit.
[[nodiscard]] std::optional<Amount> convert(Decimal value, const UnitScale& from, const UnitScale& to);

} // namespace things
