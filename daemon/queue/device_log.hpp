// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/backlog.hpp"
#include "queue/chunks.hpp"
#include "queue/span_set.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

// What is outstanding for one device. Loop only; pure.
//
// Every number below `next` is in exactly one of: available, in flight, held (no wall time yet), settled (in
// none of the sets). Its reading is in memory (queue/chunks.hpp), on flash, or both; numbers below `safe_to`
// are on flash.
namespace things {

/// Numbers whose readings count the clock of an unsynchronised boot.
struct HeldSpan {
    std::uint32_t boot = 0;
    Span span;
};

/// The live lane is what was appended at or above `live_from`: it follows the newest `live_limit` readings
/// once twice as many wait unsent, so that what an outage leaves behind becomes backlog. After a start
/// everything is backlog.
class DeviceLog {
public:
    // Appending
    /// Takes a reading in; returns its number. `boot`: 0, or the number of the boot whose clock its stamp
    /// counts.
    /// `boot_ms` is the time of appending (not of the reading); it decides when the live lane is due.
    /// `urgent` makes it due at once.
    std::uint64_t append(const Reading& reading, std::uint32_t boot, std::int64_t boot_ms, bool urgent);
    /// Ends the open chunk.
    void seal() { chunks_.seal(); }
    /// What was appended so far is backlog.
    void end_live();

    // Sending
    [[nodiscard]] Waiting waiting() const;
    /// The first up to `most` available numbers of a lane.
    [[nodiscard]] std::vector<Span> pick(Lane lane, std::size_t most) const;
    /// Those of `spans` that are available.
    [[nodiscard]] std::vector<Span> pick(const std::vector<Span>& spans) const;
    /// First number of the spans whose reading is not in memory, or none.
    /// `spans` rise.
    [[nodiscard]] std::optional<std::uint64_t> first_absent(const std::vector<Span>& spans) const;
    /// Puts available numbers in flight and reads them into `batch`; all must be in memory. Returns those
    /// that could not be read: they are still available, and the caller drops them.
    [[nodiscard]] std::vector<Span> start_flight(const std::vector<Span>& spans, Batch& batch);
    /// Ends the flight of a span: back to available, or settled. Returns how many were in flight.
    /// Numbers of the span that are not in flight are left as they are.
    std::uint64_t end_flight(Span span, bool settled);
    /// Settles whatever of a span is available or held. Returns how many.
    std::uint64_t drop(Span span);
    /// The parts of a span that drop() would settle.
    [[nodiscard]] std::vector<Span> droppable(Span span) const;
    /// Number of the boot whose clock the stamp of a reading in memory counts; 0: wall time.
    [[nodiscard]] std::uint32_t boot_of(std::uint64_t number) const;

    // Clock
    [[nodiscard]] const std::vector<HeldSpan>& held() const { return held_; }
    [[nodiscard]] std::uint64_t held_count() const { return held_numbers_.size(); }
    /// Settles the held numbers of one span; returns how many.
    std::uint64_t drop_held(const HeldSpan& held);
    /// Makes the held numbers of one boot available; returns how many.
    std::uint64_t release(std::uint32_t boot);

    // Storage
    [[nodiscard]] std::deque<Chunk>& chunks() { return chunks_.all(); }
    [[nodiscard]] const std::deque<Chunk>& chunks() const { return chunks_.all(); }
    /// As Chunks::insert().
    bool insert(Block block, bool is_clean, std::uint64_t segment);
    /// As Chunks::evict(): what goes must be loaded before it can be sent.
    void evict(Span span) { chunks_.evict(span); }
    /// Bytes of all chunks.
    [[nodiscard]] std::int64_t memory() const { return chunks_.memory(); }

    // State
    [[nodiscard]] std::uint64_t next() const { return next_; }
    [[nodiscard]] std::uint64_t safe_to() const { return safe_to_; }
    void set_safe_to(std::uint64_t number) { safe_to_ = number; }
    /// Boot time, at most 50 ms early, at which the oldest outstanding reading that is not on flash was
    /// appended; 0 if it has left the live lane or was there at the start. None: everything is on flash.
    [[nodiscard]] std::optional<std::int64_t> unsafe_since_ms() const;
    [[nodiscard]] std::uint64_t outstanding() const;
    [[nodiscard]] std::uint64_t in_flight() const { return flight_.size(); }
    [[nodiscard]] bool is_in_flight(Span span) const { return flight_.count(span) == span.size(); }
    [[nodiscard]] std::uint64_t outstanding_in(Span span) const;
    [[nodiscard]] std::vector<Span> outstanding_spans_in(Span span) const;
    /// Spans of everything outstanding, sorted.
    [[nodiscard]] std::vector<Span> outstanding_spans() const;
    /// Lowest outstanding number; `next` if there is none.
    [[nodiscard]] std::uint64_t base() const;
    /// Lowest outstanding number from `from` on; `next` if there is none.
    [[nodiscard]] std::uint64_t base_from(std::uint64_t from) const;
    /// For an empty log, before anything is appended.
    void restore(std::uint64_t next, const std::vector<Span>& outstanding, const std::vector<HeldSpan>& held);
    void set_live_limit(std::size_t limit) { live_limit_ = limit; }
    [[nodiscard]] std::uint64_t live_from() const { return live_from_; }

private:
    /// What was outstanding until now is settled.
    void forget(Span span);
    void move_live_boundary();
    void set_live_from(std::uint64_t number);
    /// Notes when a number was appended, at most every 50 ms: a deque of a few hundred at worst, not a time
    /// for each reading.
    void mark(std::int64_t boot_ms);
    [[nodiscard]] std::int64_t appended_ms(std::uint64_t number) const;

    std::uint64_t next_ = 0;
    std::uint64_t safe_to_ = 0;
    std::uint64_t live_from_ = 0;
    std::size_t live_limit_ = 500;
    SpanSet available_, flight_, held_numbers_;
    std::vector<HeldSpan> held_;
    Chunks chunks_;
    std::deque<std::pair<std::uint64_t, std::int64_t>> marks_; ///< number, boot time of its appending
    std::vector<std::uint64_t> urgent_;
};

} // namespace things
