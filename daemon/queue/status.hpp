// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/books.hpp"
#include "reading.hpp"

#include <cstdint>
#include <string>
#include <vector>

// What the status page, the metrics and `queue list` show of the queue. Plain snapshots.
namespace things {

/// One device's share.
/// Devices of the queue, also those that the configuration does not know any more.
struct DeviceBacklog {
    DeviceId device = 0;
    std::string dvnuuid;
    std::uint64_t waiting = 0;   ///< live and backlog
    std::uint64_t in_flight = 0; ///< handed out, not settled
    std::uint64_t held = 0;      ///< without a wall time; not handed out
    std::int64_t oldest_ms =
        0; ///< wall time of its oldest reading as far as known without reading flash; 0: none
};

/// Something that somebody must act on; gone when it is over, `damaged` a day after.
struct QueueAlarm {
    std::string code; ///< stable: flash, hot, full, memory, damaged, flood, restart, clock
    std::string text;
};

/// `books` balance with `queued` at every moment; a difference is a bug.
struct QueueStatus {
    Books books;
    std::uint64_t queued = 0; ///< counted from the devices, in flight included
    std::vector<DeviceBacklog> devices;
    std::uint64_t commits = 0;       ///< transactions written to flash
    std::uint64_t syncs = 0;         ///< fsync and the like
    std::uint64_t bytes_written = 0; ///< to flash since start; see DiskCounters
    double bytes_per_day = 0;        ///< projection of the above from the last hour
    std::int64_t file_size = 0;      ///< database and write-ahead log
    std::int64_t file_used = 0;      ///< of the database, without free pages
    std::int64_t memory = 0;         ///< bytes of readings in memory
    bool clock_trusted = false;
    std::vector<QueueAlarm> alarms;
};

/// A reading that the platform refused for good.
/// `id` stays the same for as long as the letter is kept; it is what `queue retry` and `queue drop` take.
struct DeadLetter {
    std::uint64_t id = 0;
    std::string dvnuuid, name, unit;
    Reading reading;
    std::string reason;
    std::int64_t wall_ms = 0; ///< when it was set aside
};

} // namespace things
