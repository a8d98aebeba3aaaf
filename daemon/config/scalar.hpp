// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/document.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Scalars of YAML and CSV as values. Pure; accept the whole text or nothing.
namespace things {

/// `500ms 10s 5m 2h 7d`, also `1.5h` and `0`, in milliseconds.
/// A number without a unit is none but for `0`; nor is a fraction of a millisecond.
std::optional<std::int64_t> parse_duration(std::string_view text);
/// `64KiB 16MiB 2GiB kB MB GB B` or a number of bytes.
std::optional<std::int64_t> parse_size(std::string_view text);
/// true false yes no on off.
/// Also True, TRUE, Yes, On and so on. Not 0 and 1.
std::optional<bool> parse_boolean(std::string_view text);
/// Decimal or 0x hexadecimal, with sign.
std::optional<std::int64_t> parse_integer(std::string_view text);
/// The same, and `1.0` for 1 as spreadsheets write it. For keys that want an integer.
std::optional<std::int64_t> parse_whole_number(std::string_view text);
/// A finite number; hexadecimal integers too.
std::optional<double> parse_number(std::string_view text);
/// A scalar as YAML understands it: quoted is text, else boolean, integer, number or text.
/// yes, no, on and off are text, as in YAML 1.2.
Scalar guess_scalar(const Node& node);

/// The shortest way to write a duration: 90000 is `90s`.
std::string duration_text(std::int64_t ms);
/// The same for a size: 16384 is `16KiB`.
std::string size_text(std::int64_t bytes);
/// The shortest number that reads back as the same.
std::string number_text(double number);

} // namespace things
