// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/backlog.hpp"
#include "model/command.hpp"
#include "platform/machine.hpp"
#include "queue/catalogue.hpp"
#include "queue/status.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// The durable log of readings by device. Loop only; nothing here waits for flash but the constructor, and the
// destructor, which lets a write in progress end.
//
// A reading that was appended is in memory at once, in the hot log (queue/hot/hot_log.hpp) within 100 ms,
// and, unless it was accepted meanwhile, on flash (queue/flash/archive.hpp) within `commit_interval`. The
// crash rules stand in those two headers. Two readings of one series never have the same time: a stamp that
// is not later than the series' last one by less than a second is moved to 1 ms after it, and after a step
// back the clock gives out other times than before (queue/clock_trust.hpp). A time that the device itself
// gave is kept.
namespace things {

class Clock;
class ClockTrust;

/// The queue cannot be used at all: in use by another process, of a newer version, or no place for it.
class QueueError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// `config` and `time` come from the user, the rest are constants of the program that tests change.
struct QueueOptions {
    QueueConfig config;
    TimeConfig time;
    std::size_t live_limit = 500;                               ///< readings of a device in the live lane
    std::int64_t memory_limit = std::int64_t{32} * 1024 * 1024; ///< bytes held while flash refuses
    std::int64_t cache_limit = std::int64_t{2} * 1024 * 1024;   ///< bytes read back or kept though on flash
    std::size_t dead_limit = 1000;                              ///< dead letters kept
    std::int64_t floor_ms = 0;  ///< no wall time before this is right; 0: the day of the build
    int checkpoint_pages = 400; ///< length of the write-ahead log in pages of 1 KiB
    MachineMark machine;        ///< on which it runs; empty: it does not matter (command line)
    std::string storage;        ///< what is wrong with the file system below `path`; empty: nothing
    std::string vfs;            ///< SQLite's file layer below ours; empty: the system's. Tests
    /// Called each second while the constructor waits for a disk that is slow or a rescue that is long.
    std::function<void()> while_opening{};
};

/// Owned by the gateway, before the uploader and after the loop. Reading and settling cost memory and a write
/// to the runtime directory; flash is written on the archive's thread alone.
class Queue : public Backlog, public CommandStore {
public:
    /// Opens or creates the queue; mends what is damaged. Blocks for milliseconds. The clock outlives it.
    /// Throws QueueError.
    Queue(boost::asio::any_io_executor loop, const Clock& clock, QueueOptions options);
    /// Does not commit: what a crash would keep is kept. Call shutdown() first.
    ~Queue() override;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    /// Starts the timers that call tick(); a test calls tick() itself.
    void start();
    /// Looks at the clock, writes the hot log, commits what is due by the clock given.
    void tick();
    /// Commits now; the handler is called on the loop with whether everything is on flash.
    /// False after a failure: what it held is in the hot log only, and the next commit tries again. Several
    /// asked for at once share one.
    void commit(std::function<void(bool)> handler);
    /// The last commit; nothing may be appended afterwards. The handler says whether all is on flash.
    void shutdown(std::function<void(bool)> handler);
    /// Takes over changed limits and policies (not the paths).
    /// Takes effect with the next commit.
    void configure(const QueueConfig& config, const TimeConfig& time, std::size_t live_limit);
    /// Called when readings became available otherwise than by append(): the clock got right, a dead letter
    /// came back.
    void on_available(std::function<void(DeviceId)> handler);

    // Catalogue: ids are stable over restarts and configuration changes.
    /// An unknown one gets the next number; it is stored with its first reading.
    [[nodiscard]] DeviceId device(const std::string& dvnuuid);
    [[nodiscard]] SeriesId series(DeviceId device, const std::string& name, const std::string& unit);
    /// The id must be one that device() or series() gave.
    [[nodiscard]] const std::string& dvnuuid(DeviceId device) const;
    [[nodiscard]] const Series& series(SeriesId id) const;
    /// Drops everything of a device (removed from the configuration), counted.
    /// What is in flight is left to its answer. The catalogue keeps its name.
    void drop_device(DeviceId device);

    /// Takes a reading in. `urgent`: a command's outcome, makes its device's pack due. The series decides the
    /// device. False: memory for readings is full, because flash refuses, and nothing older may or can go;
    /// counted as DropReason::memory. A full `queue.max_size` is never told here: what it costs is decided at
    /// the next commit.
    bool append(const Reading& reading, bool urgent = false);
    /// Readings that were taken but could not be brought here, for the books.
    void count_lost(std::uint64_t readings);

    // Backlog
    [[nodiscard]] Waiting waiting(DeviceId device) const override;
    void take(DeviceId device, Lane lane, std::size_t most, std::function<void(Batch)> handler) override;
    void take(DeviceId device, const std::vector<Span>& spans, std::function<void(Batch)> handler) override;
    void settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                const std::string& reason) override;

    // CommandStore
    void store(std::vector<Command> commands,
               std::function<void(std::vector<Command>, bool)> handler) override;
    void update(const Command& command, std::function<void(bool)> handler) override;
    [[nodiscard]] std::vector<Command> unfinished() override;
    [[nodiscard]] std::vector<Command> recent(const std::string& dvnuuid, std::size_t most) override;
    /// From memory: the last 1,000. load_audit() reads them all.
    [[nodiscard]] std::vector<Command> audit(const std::string& device, std::size_t most) override;
    /// From flash; empty if it cannot be read. The handler is called on the loop.
    void load_audit(const std::string& device, std::size_t most,
                    std::function<void(std::vector<Command>)> handler);

    // Dead letters, oldest first.
    [[nodiscard]] std::vector<DeadLetter> dead_letters() const;
    /// Puts dead letters back into their device's queue; returns how many were found.
    /// They keep their time and go to the end of the queue; ids that are not there are skipped.
    std::size_t retry_dead(const std::vector<std::uint64_t>& ids);
    /// Drops dead letters for good, counted as removed.
    std::size_t drop_dead(const std::vector<std::uint64_t>& ids);

    // Other queues' files (queue/adoption.hpp)
    /// Takes in what waits in a file, as backlog: one that was set aside, a backup, another machine's. Each
    /// reading once, with its time. `rescue`: also what can be carried over from a damaged one.
    void adopt(const std::string& file, bool rescue, std::function<void(AdoptResult)> handler);
    /// Looks into the files that were set aside, and takes in sound ones that came into the queue's place; by
    /// itself after the start and after each change. Then status() tells of them, and the handler is called.
    void look_aside(std::function<void()> handler);

    /// Costs a walk over all devices.
    [[nodiscard]] QueueStatus status() const;
    [[nodiscard]] std::vector<QueueAlarm> alarms() const;
    [[nodiscard]] const Books& books() const;
    /// How long the thread that writes to flash has owed a sign of life (platform/heartbeat.hpp); asks for
    /// one.
    [[nodiscard]] std::chrono::milliseconds silence(std::int64_t now_ms);
    /// Stamps readings; its now() may be called on any thread.
    [[nodiscard]] ClockTrust& clock_trust();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace things
