// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/register_value.hpp"

#include <cstdint>
#include <span>
#include <vector>

// Registers that hold other than two bytes (`register_bytes`): between the payload of a frame, which has that
// many bytes per register, and the words of a value. Pure.
//   A value of several registers takes all their bytes, in the order of the registers; one that is smaller
//   than its register takes the low bytes, which come last on the wire.
//   A payload is kept as 16-bit words, two bytes each; a last odd byte is the high one of its word. Coils are
//   read one in a word, as registers of two bytes.
// Example: 4 bytes, uint32, payload 0001 E240 -> 123456. 4 bytes, uint16, payload 0001 E240 -> 0xE240.
namespace things {

/// What a request and its answer may carry: an answer at most 250 bytes of data, function 16 at most 246.
constexpr unsigned most_read_bytes = 250, most_written_bytes = 246;

/// How many registers a value takes; at least one.
[[nodiscard]] std::uint32_t registers_of(const RegisterFormat& format, unsigned register_bytes);
/// The words of the value that begins `offset` registers behind the first one of the payload.
[[nodiscard]] std::vector<std::uint16_t> value_words(std::span<const std::uint16_t> payload,
                                                     std::uint32_t offset, const RegisterFormat& format,
                                                     unsigned register_bytes);
/// The inverse, to be written. Bytes above the value keep what `current` holds there; without it they carry
/// its sign.
[[nodiscard]] std::vector<std::uint16_t> value_payload(const std::vector<std::uint16_t>& words,
                                                       const RegisterFormat& format, unsigned register_bytes,
                                                       std::span<const std::uint16_t> current = {});
/// So many registers of a payload, as a payload.
[[nodiscard]] std::vector<std::uint16_t> part_of_payload(std::span<const std::uint16_t> payload,
                                                         std::uint32_t offset, std::uint32_t count,
                                                         unsigned register_bytes);
/// The power of ten in a register: its low two bytes, or its only one.
[[nodiscard]] int power_in(std::span<const std::uint16_t> payload, std::uint32_t offset,
                           unsigned register_bytes);

} // namespace things
