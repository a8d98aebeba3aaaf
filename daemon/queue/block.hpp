// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/backlog.hpp"
#include "model/reading.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Readings of one device with consecutive sequence numbers, as compact bytes: the form in which they wait in
// memory, in the hot log and on flash, encoded once. Pure; a block is owned by whoever holds it.
//
// Each reading: one control byte - bits 0-3 kind of value, bits 4-5 series, bits 6-7 time - then
//   series  0: the previous one + 1, 1: the same, 2: signed difference follows (the first follows on 0)
//   time    0: the previous one, 1: signed difference in ms follows (the first follows on 0)
//   value   0 false, 1 true, 2 signed integer, 3 unsigned integer, 4 double (8 bytes), 5 text (size, bytes),
//           6 double that is exact as a float (4 bytes), 7 ... 15 double as signed integer / 10^(kind - 7)
// Example: series 4 at 1,000 ms is 21.5, then series 5 at 1,000 ms is true:
//   68 08 d0 0f ae 03 | 01      (0x68: kind 8, series 2, time 1; +4; +1000; 215 / 10^1)
// Bytes in a whole frame (put_frame): device, first, count, boot, oldest, newest - oldest, size, bytes.
namespace things {

struct Block {
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t boot = 0;  ///< 0: stamps are wall time; else number of the boot whose clock they count
    std::int64_t oldest = 0; ///< lowest and highest stamp
    std::int64_t newest = 0;
    std::string bytes;
    [[nodiscard]] std::uint64_t last() const { return first + count; }
};

/// Where a codec stands inside a block.
/// Positions are only valid for the block they come from; a default one stands at its beginning.
struct BlockPosition {
    std::uint32_t index = 0; ///< readings before it
    std::size_t offset = 0;  ///< bytes before it
    SeriesId series = 0;
    std::int64_t time = 0;
};

/// Adds a reading at the end. `end` belongs to the block and starts empty.
/// The caller keeps to one boot's clock in a block: the stamp's clock is not stored per reading.
void append(Block& block, BlockPosition& end, const Reading& reading);

/// Reads the reading at `at` and moves on; false at the end or on bytes that make no sense.
[[nodiscard]] bool read_next(const Block& block, BlockPosition& at, Reading& reading);
/// Moves on without making a value.
[[nodiscard]] bool skip_next(const Block& block, BlockPosition& at);

/// The readings of a span inside it, as a block of their own.
/// Empty if none of its numbers are in the block. Costs decoding all readings before its end.
[[nodiscard]] Block cut(const Block& block, Span span);

/// Whether all its readings can be decoded.
/// To be asked of every block that comes from a file, before anything else is done with it.
[[nodiscard]] bool is_sound(const Block& block);

/// Appends to `out`; the inverse is parse_frames.
void put_frame(std::string& out, DeviceId device, const Block& block);
/// CRC-32 of a frame: of the readings, and of where they belong.
[[nodiscard]] std::uint32_t frame_checksum(DeviceId device, const Block& block);
/// A device and its block.
struct Frame {
    DeviceId device = 0;
    Block block;
};
/// All frames in `bytes`; none if anything is wrong with them.
[[nodiscard]] std::optional<std::vector<Frame>> parse_frames(std::string_view bytes);

/// A value alone, as dead letters and commands are stored.
void put_value(std::string& out, const Value& value);
class ByteReader;
[[nodiscard]] Value get_value(ByteReader& reader);

} // namespace things
