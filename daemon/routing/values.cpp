// SPDX-License-Identifier: Apache-2.0
#include "routing/values.hpp"

#include "platform/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace things {

namespace {

constexpr double tolerance = 1e-6;

std::string plain(const Value& value) {
    return std::visit(
        [](const auto& v) -> std::string {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, bool>)
                return v ? "true" : "false";
            else if constexpr (std::is_same_v<T, double>)
                return json_number(v);
            else if constexpr (std::is_same_v<T, std::string>)
                return fmt::format("'{}'", v.size() <= 40 ? v : v.substr(0, 40) + "...");
            else
                return std::to_string(v);
        },
        value);
}

/// Booleans as 0 and 1, so that a coil compares with a register.
Value as_number(const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value))
        return std::int64_t{*flag};
    if (const auto* large = std::get_if<std::uint64_t>(&value); large != nullptr && *large <= INT64_MAX)
        return static_cast<std::int64_t>(*large);
    return value;
}

} // namespace

std::optional<double> number_in(const Value& value) {
    if (const auto* i = std::get_if<std::int64_t>(&value))
        return static_cast<double>(*i);
    if (const auto* u = std::get_if<std::uint64_t>(&value))
        return static_cast<double>(*u);
    if (const auto* d = std::get_if<double>(&value))
        return *d;
    return std::nullopt;
}

Value without_label(const PointConfig& point, const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value))
        for (const auto& [raw, label] : point.labels)
            if (label == *text)
                return raw;
    return value;
}

bool is_same(const PointConfig& point, const Value& a, const Value& b) {
    const Value x = as_number(without_label(point, a)), y = as_number(without_label(point, b));
    if (x == y)
        return true;
    if (!std::holds_alternative<double>(x) && !std::holds_alternative<double>(y))
        return false;
    const auto m = number_in(x), n = number_in(y);
    return m && n && std::abs(*m - *n) <= tolerance * std::max(std::abs(*m), std::abs(*n));
}

std::string in_words(const PointConfig& point, const Value& value) {
    const Value raw = as_number(without_label(point, value));
    for (const auto& [number, label] : point.labels)
        if (raw == Value(number))
            return fmt::format("{} ({})", label, number);
    const bool has_unit = !point.unit.empty() && number_in(value).has_value();
    return has_unit ? fmt::format("{} {}", plain(value), point.unit) : plain(value);
}

} // namespace things
