// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/block.hpp"
#include "queue/span_set.hpp"

#include <cstdint>
#include <deque>
#include <functional>

// The readings of one device that are in memory, in chunks by rising number. Loop only; pure.
//
// A chunk is storage: it says where the readings of some numbers are found, not what became of them. It goes
// when none of its readings is outstanding. One marked clean is a copy of what is in a block on flash, and
// may be evicted at any time.
namespace things {

/// A block in memory, with the state of its use.
/// `hot` <= `end` always. A chunk is closed by seal(), by 256 readings or 4 KiB, by another boot, or by a gap
/// in the numbers.
struct Chunk {
    Block block;
    std::uint32_t left = 0;     ///< readings still outstanding
    bool is_open = true;        ///< more readings may be appended
    bool is_clean = false;      ///< also in a block on flash
    std::uint64_t segment = 0;  ///< the segment on flash that holds it; 0: none
    bool is_committing = false; ///< part of the commit in progress
    BlockPosition end;          ///< where the next reading is appended
    BlockPosition cursor;       ///< where the last reading of it stopped
    BlockPosition hot;          ///< up to here it was written to the hot log

    [[nodiscard]] bool is_stored() const { return is_clean || segment != 0; }
    /// Bytes that it takes on flash, about.
    [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(block.bytes.size()) + 16; }
};

class Chunks {
public:
    /// Stores the reading with this number, which is above all others.
    void append(std::uint64_t number, const Reading& reading, std::uint32_t boot);
    /// Ends the open chunk.
    void seal();
    /// The chunk that holds a number; null if its reading is not in memory.
    [[nodiscard]] Chunk* find(std::uint64_t number);
    [[nodiscard]] const Chunk* find(std::uint64_t number) const;
    /// Puts into memory what of a block is outstanding and not there yet. A chunk that is there already stays
    /// as it is: the block is cut around it. `outstanding` counts the numbers of a span.
    /// False: nothing was taken. `segment` is 0 for what is in no segment.
    bool insert(Block block, bool is_clean, std::uint64_t segment,
                const std::function<std::uint64_t(Span)>& outstanding);
    /// These numbers, all outstanding until now, are settled.
    void settle(Span span);
    /// Forgets clean chunks that lie within the span. Their numbers stay outstanding.
    void evict(Span span);

    [[nodiscard]] std::deque<Chunk>& all() { return chunks_; }
    [[nodiscard]] const std::deque<Chunk>& all() const { return chunks_; }
    /// Bytes of all of them.
    [[nodiscard]] std::int64_t memory() const { return memory_; }

private:
    Chunk& writable(std::uint64_t number, std::uint32_t boot);

    std::deque<Chunk> chunks_;
    std::int64_t memory_ = 0;
};

} // namespace things
