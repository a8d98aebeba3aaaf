// SPDX-License-Identifier: Apache-2.0
#include "p1/quantity.hpp"

#include <algorithm>
#include <iterator>

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

} // namespace

const UnitScale* find_scale(std::string_view text) {
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
    if (std::optional<Decimal> scaled = multiply(value, {from.multiplier, 0}); scaled) {
        if (scaled->mantissa % to.multiplier == 0)
            return to_amount({scaled->mantissa / to.multiplier, scaled->exponent});
        return to_double(to_amount(*scaled)) / to.multiplier;
    }
    return std::nullopt;
}

} // namespace things
