// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/printable.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

// How subcommands print for people: whole lines, in which whatever came from the platform, a device, a plugin
// or a file can neither end the line nor command the terminal. JSON is printed as it is: JsonWriter escapes
// the same characters.
namespace things::cli {

inline constexpr std::size_t longest_line = 65536; ///< a downlink fits

/// The end of the line is added.
template <typename... Args>
void print_line(std::FILE* file, fmt::format_string<Args...> format, Args&&... args) {
    fmt::print(file, "{}\n", printable(fmt::format(format, std::forward<Args>(args)...), longest_line));
}
template <typename... Args>
void print_line(fmt::format_string<Args...> format, Args&&... args) {
    print_line(stdout, format, std::forward<Args>(args)...);
}

} // namespace things::cli
