// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// The queue's accounts. At every moment, and across restarts:
//   read + adopted = accepted + queued (in flight included) + all of dropped + dead
// A reading that a power cut or a kill took out of the unsaved tail is in none of them. Plain values.
namespace things {

/// Why a reading left the queue without being accepted.
/// Stored by number; there are eight for good, because other numbers follow (queue/state.hpp).
enum class DropReason : std::uint8_t {
    full,      ///< `queue.max_size` was reached
    age,       ///< older than `queue.max_age`
    memory,    ///< flash refused writes and the memory limit was reached
    unsynced,  ///< its boot never got a clock (`time.unsynced: drop`)
    damaged,   ///< its bytes could not be read back from flash
    removed,   ///< its device was removed from the configuration, or an operator dropped it
    dead_full, ///< pushed out of the full dead-letter list
    flood,     ///< lost before the queue: the sources produced more than the daemon could take in
};
constexpr std::size_t drop_reasons = 8;

/// The name of a reason as in logs and metrics.
/// Words of the metrics' label `reason`.
[[nodiscard]] std::string_view name_of(DropReason reason);

/// Counters since the queue was made; they are stored with every commit.
/// On the loop only; a copy goes into each commit.
struct Books {
    std::uint64_t read = 0;     ///< readings taken in
    std::uint64_t adopted = 0;  ///< taken in from another queue, where they had been read
    std::uint64_t accepted = 0; ///< delivered to the platform
    std::uint64_t dead = 0;     ///< in the dead-letter list now
    std::array<std::uint64_t, drop_reasons> dropped{};
    std::uint64_t estimated = 0; ///< of all: given an estimated time (not an exit)

    [[nodiscard]] std::uint64_t dropped_total() const {
        std::uint64_t sum = 0;
        for (const std::uint64_t n : dropped)
            sum += n;
        return sum;
    }
    [[nodiscard]] std::uint64_t queued() const { return read + adopted - accepted - dead - dropped_total(); }
    void drop(DropReason reason, std::uint64_t count) { dropped[static_cast<std::size_t>(reason)] += count; }
    friend bool operator==(const Books&, const Books&) = default;
};

} // namespace things
