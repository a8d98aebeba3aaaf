// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/decimal.hpp"

#include <optional>
#include <string_view>

// The units that meters print, and conversion that stays exact: 123456.789 kWh becomes 123456789 Wh. Pure.
namespace things {

/// A unit: how many of the primary SenML unit (RFC 8428, RFC 8798) one of it is: multiplier x 10^exponent.
/// Rows of a constant table. Units of the same `primary` convert into each other, others never.
struct UnitScale {
    std::string_view spelling; ///< "kWh"
    std::string_view primary;  ///< "J"
    int multiplier;            ///< 36
    int exponent;              ///< 5
};

/// Without regard to case and blanks around. Null if the unit is not known.
[[nodiscard]] const UnitScale* find_scale(std::string_view text);
/// The value in another unit of the same dimension. Nothing if the dimensions differ or it does not fit.
/// A whole number where the result is one.
[[nodiscard]] std::optional<Amount> convert(Decimal value, const UnitScale& from, const UnitScale& to);

} // namespace things
