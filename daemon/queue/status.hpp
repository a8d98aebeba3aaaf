// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"
#include "queue/books.hpp"

#include <cstdint>
#include <map>
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

/// Something that somebody must act on; gone when it is over, `damaged`, `replaced`, `refused` and `machine`
/// a day after.
struct QueueAlarm {
    std::string code; ///< stable: aside, clock, damaged, flash, flood, full, hot, machine, memory, refused,
                      ///< replaced, restart, storage
    std::string text;
    bool is_urgent = true;
};

/// A file that was set aside beside the queue, and what is in it that is not here.
struct FileAside {
    std::string file;
    std::string problem; ///< why its readings cannot be had as they are; empty: it is a sound queue
    std::map<std::string, std::uint64_t> devices; ///< readings by DvnUUID
    std::uint64_t readings = 0, letters = 0;
    std::uint64_t commands = 0; ///< unfinished ones; they are told, never carried out
};

/// What became of a file that was to be taken in.
struct AdoptResult {
    std::string file;
    std::string problem;   ///< why not, or why not all; empty: all of it is here, on flash
    bool is_known = false; ///< all that it holds was here before
    bool is_damaged = false;
    std::string rescue; ///< of a damaged one, what can be carried over
    std::uint64_t readings = 0, letters = 0;
    std::map<std::string, std::uint64_t> devices; ///< the readings by DvnUUID
    std::uint64_t lost = 0;                       ///< were counted there, but cannot be read
    std::uint64_t estimated = 0;                  ///< of all: with an estimated time
    std::uint64_t unsynced = 0;                   ///< of all: dropped, since their time is not known
    std::vector<std::string> unfinished;          ///< DEVICE/POINT of its commands that had not ended
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
    std::vector<FileAside> aside;
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
