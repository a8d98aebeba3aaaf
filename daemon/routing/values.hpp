// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <optional>
#include <string>

// Values as routing compares and shows them. Pure; any thread.
namespace things {

/// The number in a value; booleans are none.
[[nodiscard]] std::optional<double> number_in(const Value& value);

/// A text that is one of the point's labels as its raw value; anything else as it is.
[[nodiscard]] Value without_label(const PointConfig& point, const Value& value);

/// Whether two values of a point mean the same: labels as their raw values, true as 1, integers exactly,
/// anything with a fraction within a millionth (a 32-bit float holds seven digits).
[[nodiscard]] bool is_same(const PointConfig& point, const Value& a, const Value& b);

/// For people: "21.5 Cel", "on (1)", "true". Texts are shortened.
[[nodiscard]] std::string in_words(const PointConfig& point, const Value& value);

} // namespace things
