// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/register_value.hpp"

#include <cstdint>
#include <span>
#include <vector>

// Registers to one unsigned integer and back, in each of the four orders. For decode and encode only.
namespace things {

/// See register_value.hpp for what the orders mean.
inline bool swaps_bytes(RegisterOrder order) {
    return order == RegisterOrder::badc || order == RegisterOrder::dcba;
}
inline bool swaps_words(RegisterOrder order) {
    return order == RegisterOrder::cdab || order == RegisterOrder::dcba;
}
inline std::uint16_t swapped(std::uint16_t word) {
    return static_cast<std::uint16_t>(word << 8 | word >> 8);
}

/// At most four words.
inline std::uint64_t bits_of(RegisterOrder order, std::span<const std::uint16_t> words) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::uint16_t word = words[swaps_words(order) ? words.size() - 1 - i : i];
        bits = bits << 16 | (swaps_bytes(order) ? swapped(word) : word);
    }
    return bits;
}

/// The inverse of bits_of; bits beyond `count` words are cut off, so the caller has looked at the range
/// before.
inline std::vector<std::uint16_t> words_of(RegisterOrder order, std::uint64_t bits, std::size_t count) {
    std::vector<std::uint16_t> words(count);
    for (std::size_t i = 0; i < count; ++i, bits >>= 16) {
        const auto word = static_cast<std::uint16_t>(bits & 0xFFFF);
        words[swaps_words(order) ? i : count - 1 - i] = swaps_bytes(order) ? swapped(word) : word;
    }
    return words;
}

/// 64 bits and more: all of them.
inline std::uint64_t all_ones(unsigned bits) {
    return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

} // namespace things
