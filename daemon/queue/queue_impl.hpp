// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/adoption.hpp"
#include "queue/clock_trust.hpp"
#include "queue/flash/archive.hpp"
#include "queue/hot/hot_log.hpp"
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
    /// Opens or makes the database, replays the hot log, enters the present boot. Never fails: what cannot be
    /// used is set aside, and without a disk the queue lives in memory, with an alarm.
    void start();
    /// A turn of the loop ended: the hot log is written when due, a commit begins when due.
    void tick();
    void configure(const QueueConfig& config, const TimeConfig& time, std::size_t live_limit);
    [[nodiscard]] QueueStatus status() const;
    [[nodiscard]] std::vector<QueueAlarm> alarms() const;
    [[nodiscard]] const Books& books() const { return books_; }
    void count_lost(std::uint64_t readings);

    /// False: memory is full and nothing may go for it; counted as DropReason::memory. `urgent`: does not
    /// wait for its pack.
    bool append(Reading reading, bool urgent);
    /// Requests of one device are answered in order; one that needs flash holds up those behind it, not other
    /// devices.
    void take(DeviceId id, Lane lane, std::size_t most, std::function<void(Batch)> handler);
    void take(DeviceId id, const std::vector<Span>& spans, std::function<void(Batch)> handler);
    void settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                const std::string& reason);
    /// Settles what is available or held of a span, for a reason of our own.
    std::uint64_t drop(DeviceId id, Span span, DropReason reason);
    DeviceId add_device(const std::string& dvnuuid);
    SeriesId add_series(DeviceId device, const std::string& name, const std::string& unit);

    // queue_commit.cpp
    /// The handler hears whether all that was said before is on flash; called on the loop, in order.
    void commit(std::function<void(bool)> handler);
    /// As of now, for a hot log that begins with file `hot_number`.
    [[nodiscard]] QueueState snapshot(std::uint64_t hot_number) const;

    // queue_hot.cpp
    /// Hands what is new to the kernel: from here it survives the process.
    void flush_hot();

    // queue_dead.cpp: dead letters and commands
    [[nodiscard]] std::vector<DeadLetter> dead_letters() const;
    /// `retry`: back into the queue with new numbers, in one hot log record with their leaving; else dropped.
    std::size_t remove_dead(const std::vector<std::uint64_t>& ids, bool retry);
    void store(std::vector<Command> commands, std::function<void(std::vector<Command>, bool)> handler);
    void update(const Command& command, std::function<void(bool)> handler);
    [[nodiscard]] std::vector<Command> unfinished() const;
    [[nodiscard]] std::vector<Command> recent(const std::string& dvnuuid, std::size_t most) const;
    [[nodiscard]] std::vector<Command> audit(const std::string& device, std::size_t most) const;

    // queue_adopt.cpp: other queues' files
    [[nodiscard]] Adoption::Ports adoption_ports();
    /// `takes_in`: also starts to take in what came into the queue's place.
    void look_aside(bool takes_in, std::function<void()> handler);
    [[nodiscard]] std::vector<FileAside> aside() const;

    /// It keeps its place in line while flash is read.
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
        /// Blocks below are deleted on flash already.
        std::uint64_t trimmed_to = 0;
        bool is_dirty = false; ///< has readings that are not in the hot log
        bool is_loading = false;
        std::deque<Request> requests;
    };
    /// Readings that one commit put on flash, by device; deleted as a whole once all of them are settled.
    struct Segment {
        std::uint64_t id = 0;
        std::int64_t size = 0;
        std::vector<std::pair<DeviceId, Span>> spans;
    };
    /// Times of a series never go back, unless the clock itself was set back.
    struct LastStamp {
        std::int64_t ms = std::numeric_limits<std::int64_t>::min();
        std::int64_t run = 0;   ///< every millisecond from here to `ms` is taken
        std::uint32_t boot = 0; ///< whose clock they count; 0: wall time
    };

    Catalogue catalogue_;
    std::deque<Device> devices_; ///< by DeviceId
    Books books_;
    std::unique_ptr<ClockTrust> trust_;
    std::unique_ptr<Archive> archive_;
    std::unique_ptr<Adoption> adoption_;
    std::function<void(DeviceId)> on_available_;

private:
    // queue_recovery.cpp
    // After a start: what flash holds and what the hot log says later than that, joined; then the boots are
    // judged.
    /// The order matters: catalogue, then devices and what they have outstanding, then letters and commands,
    /// then the boot, then a hot log of our own, and only then what another queue's hot log had.
    void recover(ArchiveContent content);
    void restore_devices(class HotReplay& replay, const ArchiveContent& content);
    void insert_segments(const ArchiveContent& content);
    void import_tail(class HotReplay& tail);
    /// Of the same queue: joined at once. Of another: left alone until the next start, with the alarm
    /// `restart`.
    void adopt(ArchiveContent content);
    void drop_missing(DeviceId id);
    void enter_boot();
    /// Gives the readings of a boot their wall time, now that it is known how to count it.
    void resolve_boot(Boot& boot, Boot::Clock how);
    void drop_boot(const Boot& boot);
    /// A clock that got right gives this boot's held readings their time; each event begins a hot log file,
    /// whose state tells of it.
    void on_clock(ClockEvent event);

    /// Whether this is the machine on which the queue was last used.
    void recognise_machine();

    // queue_adopt.cpp
    /// How far a queue with this identity is known, this one included.
    [[nodiscard]] std::optional<DonorMark> known(std::uint64_t identity) const;
    /// Its entry; the one that was not added to for longest goes where there are too many.
    AdoptedQueue& mark_of(std::uint64_t identity);
    void inherit(const DonorReport& report);
    /// One record of the hot log tells all of it: the readings, the letters, and the mark.
    bool take_in(std::uint64_t identity, const DonorPiece& piece, AdoptResult& result);
    /// Both return their part of that record.
    std::string take_in_readings(DeviceId id, const DonorPiece& piece, AdoptResult& result);
    std::string take_in_letters(const std::vector<DonorPiece::Letter>& letters, AdoptedQueue& mark);
    /// The reading as it is to be kept; none: its time is not known and it is dropped. `boot` as in
    /// DeviceLog::append.
    std::optional<Reading> dated(const DonorPiece::Item& item, std::uint32_t& boot, AdoptResult& result);
    std::uint32_t add_boot(const Boot& boot);
    void take_in_aside();
    void tell_aside();

    // queue_readings.cpp
    void serve(DeviceId id);
    bool try_serve(DeviceId id, Request& request);
    /// Reads on the archive's thread; nothing else of this device is handed out until it is back.
    void load(DeviceId id, std::uint64_t from, std::uint64_t count);
    /// What flash should have had and did not is dropped as damaged.
    void after_load(DeviceId id, std::uint64_t from, std::optional<std::vector<Block>> blocks);
    void finish_batch(Batch& batch);
    /// Moves the stamp of a reading, by 1 ms after its series' last one, if it would repeat it; searches
    /// memory only after a real step back of the clock.
    void unique_stamp(Reading& reading, std::uint32_t boot);
    /// Call it before the readings are settled.
    void note_change(DeviceId id, Span span);
    void bury(const Batch& batch, std::size_t index, const std::string& reason); // queue_dead.cpp
    void end_dead(const std::vector<std::uint64_t>& ids, std::optional<DropReason> reason,
                  const std::string& frames = {});
    void write_ended(DeviceId id, std::uint8_t how, const std::vector<Span>& spans);

    // queue_commit.cpp
    /// One second while the hot log is broken: then flash is all there is.
    [[nodiscard]] std::int64_t commit_interval_ms() const;
    [[nodiscard]] bool is_commit_due() const;
    [[nodiscard]] bool is_settling_due() const;
    [[nodiscard]] bool has_work() const;
    [[nodiscard]] std::vector<std::uint64_t> finished_segments() const;
    /// What a commit takes to flash: everything, or all but the readings that are not there yet.
    enum class Scope : std::uint8_t { all, settlements };
    // A commit is one transaction: new readings as one segment, what was settled, dead letters, commands,
    // books. Until it returned, the hot files that hold the same stay.
    void start_commit(Scope scope = Scope::all);
    /// Applies the limits, ends the hot file and takes everything unsaved into `progress_`; a failure puts it
    /// back. For settlements alone no limit is applied, and what flash is not given goes into the new hot
    /// file; where that fails the commit becomes one of everything.
    [[nodiscard]] CommitRequest build_request(Scope scope);
    [[nodiscard]] QueueState stored_snapshot(std::uint64_t hot_number) const;
    void add_readings(CommitRequest& request);
    void add_records(CommitRequest& request);
    [[nodiscard]] std::int64_t unstored_bytes() const;

    // queue_stored.cpp
    /// On the loop. Handlers are called last, since they may commit again.
    void after_commit(const CommitResult& result);
    /// The chunks of this commit become part of a segment, or clean if it folded them into blocks.
    void mark_stored(const CommitResult& result);
    void forget_storage(bool was_damage);
    /// Whole devices in turn, down to `cache_limit`; not those for which somebody waits.
    void evict();

    // queue_hot.cpp
    bool begin_hot(std::uint64_t number);
    /// Begins the next file. Chunks are sealed, so that no 'A' record reaches over two files.
    void rotate_hot();
    bool repeat_in_hot();
    /// Only while no letter or command waits for flash: their records stand in these files.
    void remove_hot_files();
    void add_hot_appends(DeviceId id);
    void add_hot_catalogue();

    // queue.cpp
    void set_alarm(const std::string& code, const std::string& text);
    void clear_alarm(const std::string& code);
    void clear_old_alarms();
    static constexpr const char* was_damaged = "The queue's database was damaged and replaced; see the log";
    /// For a day.
    void tell_for_a_day(const std::string& code, const std::string& text);
    void arm_timer();
    void on_timer();
    void look_at_place();
    /// Once a minute, for an hour: the projection of bytes a day.
    void sample_written();

    // queue_limits.cpp
    // Age, size and memory, applied before a commit so that it carries what they decided.
    void apply_limits(CommitRequest& request);
    void make_room(std::int64_t excess);
    void drop_aged();
    /// Drops the oldest chunks of the largest device until a sixteenth is free. With drop_newest nothing
    /// goes: append() refuses.
    void limit_memory();
    [[nodiscard]] std::int64_t file_limit() const;

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
    bool is_looking_ = false;

    std::vector<LastStamp> last_stamps_; ///< by SeriesId
    std::vector<Boot> boots_;
    std::uint32_t boot_ = 0; ///< number of the present boot
    std::vector<DeviceId> dirty_;
    std::int64_t memory_ = 0;         ///< bytes of readings in memory
    std::int64_t hot_due_ms_ = 0;     ///< boot time at which the hot log must be written; 0: nothing to write
    std::int64_t appended_bytes_ = 0; ///< since unstored_bytes() was last asked

    std::uint64_t queue_id_ = 0;
    std::uint64_t identity_ = 0; ///< as in QueueState, with the next four
    MachineMark machine_;
    std::int64_t moved_ms_ = 0;
    bool is_move_dated_ = true; ///< false: moved_ms_ waits for a clock
    std::vector<AdoptedQueue> adopted_;
    std::vector<DonorReport> aside_;
    bool is_adopted_unsafe_ =
        false; ///< readings were taken in that are not on flash, though the mark tells of them
    bool is_aside_due_ = true;      ///< a look into what was set aside
    std::int64_t aside_due_ms_ = 0; ///< boot time of the next one after a failure; 0: none
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
    std::int64_t started_ms_ = 0;       ///< boot time
    std::vector<std::function<void(bool)>> waiters_, served_waiters_;
    std::size_t saved_devices_ = 0, saved_series_ = 0; ///< catalogue entries on flash
    std::size_t hot_devices_ = 0, hot_series_ = 0;     ///< catalogue entries in the hot log
    struct InProgress {
        std::uint64_t hot_number = 0;
        std::vector<std::uint64_t> next; ///< by device
        Segment segment;
        bool is_fold = false;
        bool is_adopted_unsafe = false;
        std::vector<std::uint64_t> delete_segments;
        std::vector<std::pair<DeviceId, std::uint64_t>> trims;
        std::size_t devices = 0, series = 0;
        std::set<std::uint64_t> dead, dead_gone, commands;
        bool flash_changed = false, any_change = false;
        std::uint64_t flash_settled = 0;
    } progress_;
    std::vector<BlockInfo> oldest_;           ///< of the last commit
    std::vector<std::int64_t> delete_blocks_; ///< decided, not yet on flash
    std::int64_t used_ = 0, file_size_ = 0;
    std::uint64_t commits_ = 0;
    struct HotFile {
        std::uint64_t number = 0;
        std::vector<std::uint64_t> next; ///< by device, at its end
    };
    std::deque<HotFile> hot_files_; ///< before the present one
    std::map<std::string, std::string> alarms_;
    std::map<std::string, std::int64_t> told_ms_; ///< boot time of alarms that stand for a day, by code
    std::int64_t looked_ms_ = 0; ///< boot time of the last look at whether the database is in its place
    std::int64_t flood_ms_ = 0;  ///< boot time at which readings were last lost on the way here
    struct Written {
        std::int64_t boot_ms = 0;
        std::uint64_t bytes = 0;
    };
    std::deque<Written> written_; ///< once a minute, for the projection
};

} // namespace things
