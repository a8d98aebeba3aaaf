// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <optional>
#include <string>

// Values as routing takes, compares and shows them. Pure; any thread.
namespace things {

/// What a point holds, as far as the configuration or its last value tells.
enum class ValueKind : std::uint8_t { any, boolean, number, text };
/// By the plugin's own keys (coil, bit, type), else by labels and limits, else by the value last seen.
[[nodiscard]] ValueKind kind_of(const PointConfig& point, const std::optional<Value>& last);

/// The number in a value; booleans are none.
[[nodiscard]] std::optional<double> number_in(const Value& value);

/// A text that is one of the point's labels as its raw value; anything else as it is.
[[nodiscard]] Value without_label(const PointConfig& point, const Value& value);

/// Whether two values of a point mean the same: labels as their raw values, true as 1, integers exactly,
/// anything with a fraction within a millionth (a 32-bit float holds seven digits).
[[nodiscard]] bool is_same(const PointConfig& point, const Value& a, const Value& b);

/// For people: "21.5 Cel", "on (1)", "true". Texts are shortened.
[[nodiscard]] std::string in_words(const PointConfig& point, const Value& value);

/// A value typed by a technician: a label, true/false/on/off for a boolean, a number, or text.
/// Never fails: what is nothing else is text, and the checks refuse it.
[[nodiscard]] Value value_from_text(const PointConfig& point, ValueKind kind, const std::string& text);

} // namespace things
