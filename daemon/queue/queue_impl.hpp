// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/archive.hpp"
#include "queue/clock_trust.hpp"
#include "queue/hot_log.hpp"
#include "queue/queue.hpp"

#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

// The inside of Queue. Loop only. Its members are spread over the files named in the sections.
namespace things {

class Queue::Impl {
public:
    Impl(boost::asio::any_io_executor loop, const Clock& clock, QueueOptions options);
    ~Impl();

    // queue.cpp
    void start();
    void tick();
    void configure(const QueueConfig& config, const TimeConfig& time, std::size_t live_limit);
    [[nodiscard]] QueueStatus status() const;
    void count_lost(std::uint64_t readings);

    // queue_readings.cpp
    bool append(Reading reading, bool urgent);
    void take(DeviceId id, Lane lane, std::size_t most, std::function<void(Batch)> handler);
    void take(DeviceId id, const std::vector<Span>& spans, std::function<void(Batch)> handler);
    void settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                const std::string& reason);
    /// Settles what is available or held of a span, for a reason of our own.
    std::uint64_t drop(DeviceId id, Span span, DropReason reason);
    DeviceId add_device(const std::string& dvnuuid);
    SeriesId add_series(DeviceId device, const std::string& name, const std::string& unit);

    // queue_commit.cpp
    void commit(std::function<void(bool)> handler);
    void flush_hot();
    [[nodiscard]] QueueState snapshot(std::uint64_t hot_number) const;

    // queue_dead.cpp: dead letters and commands
    [[nodiscard]] std::vector<DeadLetter> dead_letters() const;
    std::size_t remove_dead(const std::vector<std::uint64_t>& ids, bool retry);
    void store(std::vector<Command> commands, std::function<void(std::vector<Command>, bool)> handler);
    void update(const Command& command, std::function<void(bool)> handler);
    [[nodiscard]] std::vector<Command> unfinished() const;
    [[nodiscard]] std::vector<Command> recent(const std::string& dvnuuid, std::size_t most) const;
    [[nodiscard]] std::vector<Command> audit(const std::string& device, std::size_t most) const;

    struct Request { ///< a take that waits for flash
        bool by_lane = false;
        Lane lane = Lane::live;
        std::size_t most = 0;
        std::vector<Span> spans;
        std::function<void(Batch)> handler;
    };
    struct Device {
        DeviceLog log;
        Span blocks; ///< numbers among which there may be blocks on flash
        std::uint64_t trimmed_to = 0;
        bool is_dirty = false; ///< has readings that are not in the hot log
        bool is_loading = false;
        std::uint64_t epoch = 0; ///< counts renumberings of blocks
        SpanSet renumbered;      ///< numbers that mean other readings than when they were last handed out
        std::deque<Request> requests;
    };
    struct Segment {
        std::uint64_t id = 0;
        std::int64_t size = 0;
        std::vector<std::pair<DeviceId, Span>> spans;
    };
    struct LastStamp {
        std::int64_t ms = std::numeric_limits<std::int64_t>::min();
        std::int64_t run = 0; ///< every millisecond from here to `ms` is taken
        std::int64_t highest = std::numeric_limits<std::int64_t>::min();
        std::uint32_t boot = 0; ///< whose clock they count; 0: wall time
    };

    Catalogue catalogue_;
    std::deque<Device> devices_; ///< by DeviceId
    Books books_;
    std::unique_ptr<ClockTrust> trust_;
    std::unique_ptr<Archive> archive_;
    std::function<void(DeviceId)> on_available_;

private:
    // queue_recovery.cpp
    void recover(ArchiveContent content);
    void restore_devices(class HotReplay& replay, const ArchiveContent& content);
    void insert_segments(const ArchiveContent& content);
    void import_tail(class HotReplay& tail);
    void adopt(ArchiveContent content);
    void drop_missing(DeviceId id);
    void enter_boot();
    void resolve_boot(Boot& boot, Boot::Clock how);
    void drop_boot(const Boot& boot);
    void on_clock(ClockEvent event);

    // queue_readings.cpp
    void serve(DeviceId id);
    bool try_serve(DeviceId id, Request& request);
    void load(DeviceId id, std::uint64_t from, std::uint64_t count);
    void after_load(DeviceId id, std::uint64_t from, std::uint64_t epoch,
                    std::optional<std::vector<Block>> blocks);
    void finish_batch(Batch& batch);
    void unique_stamp(Reading& reading, std::uint32_t boot, const DeviceLog& log);
    void note_change(DeviceId id, Span span);
    void bury(const Batch& batch, std::size_t index, const std::string& reason); // queue_dead.cpp
    void end_dead(const std::vector<std::uint64_t>& ids, std::optional<DropReason> reason,
                  const std::string& frames = {});
    void write_ended(DeviceId id, std::uint8_t how, const std::vector<Span>& spans);
    [[nodiscard]] static bool has_reading_at(const DeviceLog& log, const Reading& reading,
                                             std::uint32_t boot);

    // queue_commit.cpp
    [[nodiscard]] std::int64_t commit_interval_ms() const;
    [[nodiscard]] bool is_commit_due() const;
    [[nodiscard]] bool is_settling_due() const;
    [[nodiscard]] bool has_work() const;
    [[nodiscard]] std::vector<std::uint64_t> finished_segments() const;
    /// What a commit takes to flash: everything, or all but the readings that are not there yet.
    enum class Scope : std::uint8_t { all, settlements };
    void start_commit(Scope scope = Scope::all);
    [[nodiscard]] CommitRequest build_request(Scope scope);
    [[nodiscard]] QueueState stored_snapshot(std::uint64_t hot_number) const;
    void add_readings(CommitRequest& request);
    void after_commit(CommitResult result);
    void mark_stored(const CommitResult& result);
    void forget_storage();
    bool begin_hot(std::uint64_t number);
    void rotate_hot();
    bool repeat_in_hot();
    void remove_hot_files();
    void add_hot_appends(DeviceId id);
    [[nodiscard]] std::int64_t unstored_bytes() const;
    void evict();
    void set_alarm(const std::string& code, const std::string& text);
    void clear_alarm(const std::string& code);
    void clear_old_alarms();
    static constexpr const char* was_damaged = "The queue's database was damaged and replaced; see the log";
    void tell_damage(const std::string& text);

    // queue_limits.cpp
    void apply_limits(CommitRequest& request);
    void make_room(std::int64_t excess);
    bool thin_block(const BlockInfo& info);
    void drop_aged();
    void limit_memory();
    [[nodiscard]] std::int64_t file_limit() const;

    void arm_timer();
    void on_timer();
    void sample_written();

    boost::asio::any_io_executor loop_;
    boost::asio::steady_timer timer_;
    std::shared_ptr<int> alive_ =
        std::make_shared<int>(0); ///< its weak copy tells a late timer that all is over
    const Clock& clock_;
    QueueOptions options_;
    std::unique_ptr<HotLog> hot_;
    bool is_started_ = false;
    bool is_volatile_ = false; ///< the database was never open in this run
    bool is_cut_off_ = false;  ///< it belongs to another queue: not used until the next start
    bool has_warned_hot_ = false;

    std::vector<LastStamp> last_stamps_; ///< by SeriesId
    std::vector<Boot> boots_;
    std::uint32_t boot_ = 0; ///< number of the present boot
    std::vector<DeviceId> dirty_;
    std::int64_t memory_ = 0;         ///< bytes of readings in memory
    std::int64_t hot_due_ms_ = 0;     ///< boot time at which the hot log must be written; 0: nothing to write
    std::int64_t appended_bytes_ = 0; ///< since unstored_bytes() was last asked

    std::uint64_t queue_id_ = 0;
    std::int64_t saved_wall_ms_ = 0;
    std::uint64_t next_segment_ = 1;
    std::vector<Segment> segments_;
    std::int64_t clean_bytes_ = 0; ///< at most so much of memory_ is on flash as blocks too
    std::size_t evict_next_ = 0;   ///< device whose turn it is to give up such readings

    std::map<std::uint64_t, StoredLetter> dead_;
    std::uint64_t next_dead_ = 1;
    std::set<std::uint64_t> unsaved_dead_;
    std::set<std::uint64_t> unsaved_dead_gone_;

    std::map<std::uint64_t, Command> commands_; ///< unfinished, and the newest of the others
    std::uint64_t next_command_ = 1;
    std::set<std::uint64_t> unsaved_commands_;

    // Commit in progress and the wish for one
    bool is_committing_ = false;
    bool wants_commit_ = false;
    bool flash_changed_ = false;        ///< something on flash must be mended or told
    std::uint64_t flash_settled_ = 0;   ///< readings on flash that were settled since it was told
    std::int64_t settled_since_ms_ = 0; ///< boot time at which the first of them was
    bool any_change_ = false;           ///< books or numbers changed
    std::int64_t last_commit_ms_ = 0;   ///< boot time of the last start
    std::vector<std::function<void(bool)>> waiters_, served_waiters_;
    std::size_t saved_devices_ = 0, saved_series_ = 0; ///< catalogue entries on flash
    std::size_t hot_devices_ = 0, hot_series_ = 0;     ///< catalogue entries in the hot log
    struct InProgress {
        std::uint64_t hot_number = 0;
        std::vector<std::uint64_t> next; ///< by device
        Segment segment;
        bool is_fold = false;
        std::vector<std::uint64_t> delete_segments;
        std::vector<std::pair<DeviceId, std::uint64_t>> trims;
        std::size_t devices = 0, series = 0;
        std::set<std::uint64_t> dead, dead_gone, commands;
        bool flash_changed = false, any_change = false;
        std::uint64_t flash_settled = 0;
    } progress_;
    struct PendingThin {
        BlockInfo info;
        std::vector<Span> keep;
    };
    std::vector<BlockInfo> oldest_;           ///< of the last commit
    std::vector<std::int64_t> delete_blocks_; ///< decided, not yet on flash
    std::vector<PendingThin> thins_;          ///< decided, not yet on flash
    std::int64_t used_ = 0, file_size_ = 0;
    std::uint64_t commits_ = 0;
    struct HotFile {
        std::uint64_t number = 0;
        std::vector<std::uint64_t> next; ///< by device, at its end
    };
    std::deque<HotFile> hot_files_; ///< before the present one
    std::map<std::string, std::string> alarms_;
    std::int64_t damaged_ms_ = 0; ///< boot time at which the database was found damaged
    std::int64_t flood_ms_ = 0;   ///< boot time at which readings were last lost on the way here
    struct Written {
        std::int64_t boot_ms = 0;
        std::uint64_t bytes = 0;
    };
    std::deque<Written> written_; ///< once a minute, for the projection
};

} // namespace things
