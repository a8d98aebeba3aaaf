// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

// What the delivery stage sees of the queue: how much waits for each device, and readings to send.
namespace things {

/// A half-open range of a device's sequence numbers. Every reading of a device has one, counting up in the
/// order in which the readings were appended.
struct Span {
    std::uint64_t first = 0;
    std::uint64_t last = 0; ///< one past the end
    [[nodiscard]] std::uint64_t size() const { return last - first; }
    friend bool operator==(const Span&, const Span&) = default;
};

/// Live: taken recently, goes first. Backlog: what an outage left behind, oldest first.
enum class Lane : std::uint8_t { live, backlog };

/// What waits for one device; costs nothing to ask. In flight readings are not counted.
/// Readings that have no wall time yet are not counted either: they cannot be handed out.
struct Waiting {
    std::size_t live = 0;           ///< readings in the live lane
    std::size_t backlog = 0;        ///< readings in the backlog lane
    std::int64_t live_since_ms = 0; ///< CLOCK_BOOTTIME at which the oldest live reading was appended
    bool urgent = false;            ///< a command's outcome is among the live ones
};

/// Readings of one device on their way out, in the order of their sequence numbers.
/// `sequence` and `readings` are of one length.
struct Batch {
    DeviceId device = 0;
    Lane lane = Lane::live;
    std::vector<std::uint64_t> sequence; ///< strictly rising, one a reading
    std::vector<Reading> readings;       ///< every stamp is `wall`
};

/// How a batch ended.
/// What is not settled when the daemon ends counts as `kept`.
enum class Fate : std::uint8_t {
    accepted, ///< the platform has it
    kept,     ///< goes back to where it was
    dead,     ///< set aside as a dead letter, with the reason
};

/// The delivery stage's view of the queue. Loop only.
class Backlog {
public:
    virtual ~Backlog() = default;
    [[nodiscard]] virtual Waiting waiting(DeviceId device) const = 0;

    /// Takes up to `most` readings of one lane out for sending; they are in flight until settled. The handler
    /// is called on the loop, at once if they are in memory, later if they must be read from flash; with an
    /// empty batch if there was nothing or reading failed. Readings without a wall time are not handed out.
    virtual void take(DeviceId device, Lane lane, std::size_t most, std::function<void(Batch)> handler) = 0;

    /// Takes exactly those readings of `spans` that are still unsent, for a retry of the same pack or its
    /// halves.
    virtual void take(DeviceId device, const std::vector<Span>& spans,
                      std::function<void(Batch)> handler) = 0;

    /// Ends a batch, or part of one: `count` readings from index `from`. `reason` is for the dead-letter
    /// list.
    /// Each number that is in flight is settled once (asserted). `accepted` is in the hot log when this
    /// returns, so that a crash does not send them again.
    virtual void settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                        const std::string& reason) = 0;
};

} // namespace things
