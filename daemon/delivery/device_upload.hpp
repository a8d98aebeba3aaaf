// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/backoff.hpp"
#include "delivery/explanation.hpp"
#include "delivery/packer.hpp"
#include "delivery/upload_status.hpp"
#include "delivery/uploader.hpp"
#include "model/backlog.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// What the uploader knows of one device, and what that device should post next. State without I/O; used by
// the uploader only, on the loop. Times are CLOCK_BOOTTIME in milliseconds.
namespace things {

/// Why a post is made.
enum class Purpose : std::uint8_t {
    live,
    backlog,
    again,   ///< exactly the readings of a pack that may have arrived before
    search,  ///< a part of a pack that was refused, to find the poisoned reading
    recheck, ///< a poisoned reading alone, once more
    probe,   ///< a few readings of a parked device
    repeat,  ///< the newest accepted reading once more, only to fetch a downlink
};

/// A post to make, and when.
struct UploadPlan {
    Purpose purpose = Purpose::live;
    std::int64_t when_ms = 0;
};

/// A stretch of a batch. The parts of a batch that is searched share it.
/// `batch` is shared because halves of halves of one pack are posted at different times; the last one frees
/// it.
struct Slice {
    std::shared_ptr<const Batch> batch;
    std::size_t from = 0, count = 0;
};

/// A slice on its way.
struct Flight {
    Purpose purpose = Purpose::live;
    Slice slice;
    std::size_t bytes = 0;
};

/// A reading that was refused alone: once more, unchanged, a while later; then it is a dead letter.
struct Recheck {
    Slice slice;
    std::int64_t when_ms = 0;
    std::string reason;
};

/// What one device has waiting, in flight and refused. Public members are the uploader's to change; what has
/// rules of its own (limits, parking, fetching) is private.
class DeviceUpload {
public:
    DeviceUpload(UploadDevice device, const ThingsConfig& things);

    /// The next post, if there is anything to post. Not to be asked while busy.
    /// Its order: again, search, then by due time live, recheck, backlog, and a repeat only if nothing waits;
    /// of live posts three in a row (one, with a quota) are followed by one of the backlog. While parked only
    /// probes; while flushing only what is live or may have arrived before.
    [[nodiscard]] std::optional<UploadPlan> plan(const Waiting& waiting, const ThingsConfig& things,
                                                 const BatchConfig& batch, bool is_flushing,
                                                 std::int64_t now_ms) const;
    /// The present limits of a pack.
    /// The configured ones, 16 times as much with a `min_interval` (fewer messages, larger), or less after a
    /// 413.
    [[nodiscard]] PackLimits limits(const ThingsConfig& things, const BatchConfig& batch) const;
    /// How many readings to take for a pack with these limits.
    /// An estimate by the mean size of a record, rather too many: what does not fit goes back to the queue.
    [[nodiscard]] std::size_t readings_for(const PackLimits& limits) const;

    /// What a built pack measured: the mean size of a record decides how many the next one takes.
    /// `records` is at least 1.
    void note_packed(std::size_t records, std::size_t bytes);
    /// After a 413: less from now on.
    /// Both at least 1 whatever is given. They grow by a quarter after each 50 accepted packs.
    void cut_limits(std::size_t records, std::size_t bytes);
    /// After an accepted pack: slowly more again.
    void recover_limits(const ThingsConfig& things, const BatchConfig& batch);
    /// Refused for who it is (401, 404) or for all it says: only probes from now on, the first within a
    /// minute, then rarer, up to an hour. `random` in [0, 1) spreads them.
    void park(const std::string& why, bool by_content, std::int64_t now_ms, double random);
    /// Its wait for probes begins at the shortest again when it is parked next.
    void unpark();
    /// An operator or a new secret: no more waiting.
    void try_now(std::int64_t now_ms);
    /// One more post is wanted to fetch a downlink; at most so many a minute.
    /// 30 of them; the next one waits for the minute to end.
    void ask_for_fetch(std::int64_t now_ms);
    /// A post left: `min_interval` and `downlink_poll` count from here.
    void note_posted(std::int64_t now_ms);

    UploadDevice device;
    std::string base_name;
    DeviceUploads stats;
    Backoff backoff;
    std::optional<Flight> flight;
    std::vector<Span> again;       ///< to be sent once more, byte-identical; empty: none
    std::vector<Slice> suspects;   ///< the next one at the back
    std::deque<Recheck> rechecks;  ///< by time
    std::optional<Reading> newest; ///< newest accepted one
    Explanation last;              ///< the answer to its last post
    std::string waits_for;         ///< why not_before_ms is set
    std::string park_reason;
    std::string told_failure;          ///< the cause that its alarm tells; empty: no alarm
    std::int64_t not_before_ms = 0;    ///< after a failure
    std::int64_t failing_since_ms = 0; ///< the first failure of its own since a pack was accepted; 0: none
    std::int64_t nothing_until_ms = 0; ///< the queue had nothing to hand out although it counts some
    std::int64_t last_post_ms = 0;     ///< 0: none yet
    std::int64_t last_dead_log_ms = 0;
    std::size_t dead_unlogged = 0;
    int refusals_in_a_row = 0; ///< posts whose content was refused since one was accepted
    int live_in_a_row = 0;
    int logged_retry = 0; ///< kind of the failure that was logged last
    std::int64_t logged_retry_ms = 0;
    std::int64_t logged_search_ms = 0; ///< 0: never
    bool is_busy = false;              ///< taking readings, or in flight
    bool is_notified = false;
    /// The device was removed while busy; it goes with its answer.
    bool is_removed = false;
    bool is_retired = false; ///< no more in the configuration: only what waits is sent
    bool is_parked = false, is_parked_by_content = false;
    bool is_park_told = false;  ///< the alarm is raised
    bool is_wait_asked = false; ///< not_before_ms is the platform's wish

private:
    /// Whatever may have arrived goes first, then ten waiting readings, then what was accepted before.
    [[nodiscard]] std::optional<UploadPlan> plan_parked(const Waiting& waiting) const;
    [[nodiscard]] std::int64_t live_due_ms(const Waiting& waiting, const BatchConfig& batch, bool is_flushing,
                                           std::int64_t now_ms) const;

    std::int64_t probe_ms_ = 0;
    Milliseconds probe_wait_{0};
    std::optional<PackLimits> cut_; ///< lower limits after a 413
    int packs_since_cut_ = 0;
    /// A guess until the first pack of four readings or more was measured.
    double bytes_per_record_ = 60;
    std::int64_t fetch_ms_ = 0; ///< when to post for a downlink; 0: not asked
    std::int64_t fetch_window_ms_ = 0;
    int fetches_in_window_ = 0;
};

/// The sequence numbers of a slice as spans.
[[nodiscard]] std::vector<Span> spans_of(const Slice& slice);

} // namespace things
