// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

// Checks whether bytes from a wire or a file are UTF-8, as every text for the host must be. Needs nothing but
// this file. Pure; any thread.
namespace things {

/// The length (1 to 4) of the well-formed UTF-8 sequence at the start of `text`; 0 if there is none. Overlong
/// forms, surrogates and code points above U+10FFFF are not well-formed (RFC 3629 section 4).
constexpr std::size_t utf8_length(std::string_view text) {
    const auto is_within = [text](std::size_t i, unsigned low, unsigned high) {
        const unsigned byte = i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
        return byte >= low && byte <= high;
    };
    if (text.empty())
        return 0;
    const unsigned lead = static_cast<unsigned char>(text.front());
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return is_within(1, 0x80, 0xBF) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        const unsigned low = lead == 0xE0 ? 0xA0 : 0x80, high = lead == 0xED ? 0x9F : 0xBF;
        return is_within(1, low, high) && is_within(2, 0x80, 0xBF) ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const unsigned low = lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xF4 ? 0x8F : 0xBF;
        return is_within(1, low, high) && is_within(2, 0x80, 0xBF) && is_within(3, 0x80, 0xBF) ? 4 : 0;
    }
    return 0;
}

} // namespace things
