// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

// The frames of the storm, made and checked by code that is not the plugin's. Every four registers (or their
// 64 bits) say which unit, function and address they are and which request they answer. Pure.
//   unit function | address | number of the request (2 words)
namespace things {

using StormBytes = std::vector<std::uint8_t>;

/// A request as a device understands it; `transaction` in TCP only.
struct Asked {
    std::uint8_t unit = 0, function = 0;
    std::uint16_t address = 0, count = 0, transaction = 0;
};

/// 16 where a register is 16 bits of a table of bits, else 1.
unsigned storm_scale(std::uint8_t function);
std::uint16_t storm_word(const StormBytes& bytes, std::size_t at);

/// Function and data of the true answer.
StormBytes storm_pdu(const Asked& asked, std::uint32_t number);
StormBytes storm_frame(const Asked& asked, StormBytes pdu, bool tcp);

/// Does a frame that answers `asked` begin here, right in unit, function, length and checksum or transaction?
/// `size` bytes long, the size of the good answer.
bool answers(const StormBytes& bytes, std::size_t at, std::size_t size, const Asked& asked, bool tcp);

/// One damaged frame in 65536 has a good checksum again: no receiver can tell. Is `bytes` such a one, which
/// was `good`?
bool is_forged(const StormBytes& bytes, const StormBytes& good, const Asked& asked);

} // namespace things
