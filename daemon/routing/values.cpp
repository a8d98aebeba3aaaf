// SPDX-License-Identifier: Apache-2.0
#include "routing/values.hpp"

#include "platform/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

namespace things {

namespace {

// A 32-bit float that is read back has seven digits of what was written.
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

std::optional<bool> flag_from(const std::string& text) {
    if (text == "true" || text == "on" || text == "yes" || text == "1")
        return true;
    if (text == "false" || text == "off" || text == "no" || text == "0")
        return false;
    return std::nullopt;
}

template <typename T>
std::optional<T> number_from(const std::string& text) {
    T number{};
    const auto end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, number);
    return result.ec == std::errc() && result.ptr == end ? std::optional<T>(number) : std::nullopt;
}

/// The kind that the plugin's own keys give away, by their common names (design.md section 6).
ValueKind kind_by_settings(const PointConfig& point) {
    for (const auto& setting : point.settings) {
        // The router knows no plugin: these names are what the shipped ones have in common.
        if (setting.key == "coil" || setting.key == "discrete" || setting.key == "bit")
            return ValueKind::boolean;
        const auto* type = std::get_if<std::string>(&setting.value);
        if (setting.key != "type" || type == nullptr)
            continue;
        if (*type == "bool")
            return ValueKind::boolean;
        return *type == "string" ? ValueKind::text : ValueKind::number;
    }
    return ValueKind::any;
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

ValueKind kind_of(const PointConfig& point, const std::optional<Value>& last) {
    if (const auto kind = kind_by_settings(point); kind != ValueKind::any)
        return kind;
    const auto& w = point.writable;
    if (!point.labels.empty() || (w && (w->min || w->max || w->max_step)))
        return ValueKind::number;
    // Nothing tells: the plugin will refuse what does not fit.
    if (!last)
        return ValueKind::any;
    if (std::holds_alternative<bool>(*last))
        return ValueKind::boolean;
    return std::holds_alternative<std::string>(*last) ? ValueKind::text : ValueKind::number;
}

Value value_from_text(const PointConfig& point, ValueKind kind, const std::string& text) {
    for (const auto& [raw, label] : point.labels)
        if (label == text)
            return raw;
    if (kind == ValueKind::text)
        return text;
    if (kind == ValueKind::boolean)
        if (const auto flag = flag_from(text))
            return *flag;
    if (const auto whole = number_from<std::int64_t>(text))
        return *whole;
    if (const auto whole = number_from<std::uint64_t>(text))
        return *whole;
    if (const auto number = number_from<double>(text))
        return *number;
    if (text == "true" || text == "false")
        return text == "true";
    return text;
}

} // namespace things
