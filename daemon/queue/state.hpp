// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/machine.hpp"
#include "queue/books.hpp"
#include "queue/clock_trust.hpp"
#include "queue/device_log.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Everything about the queue but the readings themselves: which numbers are outstanding, the books, the boots
// whose clocks stamps count. Small; stored whole with each commit and at the head of each hot log file, so
// that the newest one that can be read is the truth. Pure.
//
// Bytes: a version byte, then the fields below in order as variable-length integers, lists with their size in
// front, span ends as distance from the end before; then the CRC-32 of all that, 4 bytes. What was added
// later stands behind the drop reasons of the books, as more numbers of that list: a program of before skips
// them.
namespace things {

/// A boot of the machine in whose time readings may be stamped.
/// Kept as long as any of its readings is around; the present one is last in the list.
struct Boot {
    enum class Clock : std::uint8_t {
        unknown,   ///< its readings are held
        anchored,  ///< the clock got right: wall = boot + offset
        estimated, ///< it never did; offset is a guess
    };
    std::uint32_t number = 0; ///< from 1
    std::string id;
    Clock clock = Clock::unknown;
    std::int64_t offset_ms = 0; ///< while unknown: the guess, last saved time - boot time at start
    bool is_used = false;       ///< some reading was stamped with its clock
    friend bool operator==(const Boot&, const Boot&) = default;
};

/// `outstanding` holds everything that is not settled, in flight and held included; `held` says which of them
/// count a boot's clock.
struct DeviceState {
    DeviceId device = 0;
    std::uint64_t next = 0;
    Span blocks; ///< numbers among which there may be blocks on flash
    std::vector<Span> outstanding;
    std::vector<HeldSpan> held;
};

/// Another queue whose readings were taken in, so that they are taken in once.
struct AdoptedQueue {
    std::uint64_t identity = 0;
    std::uint64_t next_dead = 0; ///< its dead letters below are here
    std::vector<std::pair<DeviceId, std::uint64_t>>
        next; ///< by our number of a device: its readings below are here
    friend bool operator==(const AdoptedQueue&, const AdoptedQueue&) = default;
};

/// A mark only rises.
void raise_mark(AdoptedQueue& queue, DeviceId device, std::uint64_t next);

/// The random `queue_id` is made with the queue and never changes, so that hot logs of a replaced file are
/// told apart.
struct QueueState {
    std::uint64_t queue_id = 0;   ///< random; tells hot logs of another queue
    std::uint64_t hot_number = 0; ///< hot log files from this number on are newer than this state
    Books books;
    std::int64_t saved_wall_ms = 0; ///< latest trusted time
    std::uint64_t next_segment = 1;
    std::uint64_t next_dead = 1;
    std::uint64_t next_command = 1;
    std::vector<Boot> boots;
    std::vector<DeviceState> devices;
    /// Tells the queue to those that take it in. As queue_id, until it finds itself on another machine: then
    /// there may be two of it, which go ways of their own.
    std::uint64_t identity = 0; ///< 0: a program of before wrote it
    MachineMark machine;        ///< on which it was last used
    std::int64_t moved_ms = 0;  ///< wall time at which it found itself on another one; 0: never
    std::vector<AdoptedQueue> adopted;
    Retrace retrace;
    [[nodiscard]] std::uint64_t known_as() const { return identity != 0 ? identity : queue_id; }
};

/// Takes time with devices and gaps in their numbers, not with readings.
[[nodiscard]] std::string encode(const QueueState& state);
/// None if a byte is wrong or of a newer version.
[[nodiscard]] std::optional<QueueState> decode_state(std::string_view bytes);

} // namespace things
