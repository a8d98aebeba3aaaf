// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/checksum.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace things {

/// A telegram of these lines (each ending in "\n"), with CR LF and checksum as DSMR 4 and later send it.
inline std::string make_telegram(std::string_view lines, std::string_view header = "XXX5TEST") {
    std::string text = fmt::format("/{}\r\n\r\n", header);
    for (char c : lines)
        text += c == '\n' ? "\r\n" : std::string(1, c);
    text += '!';
    return text + fmt::format("{:04X}\r\n", crc16_arc(text));
}

} // namespace things
