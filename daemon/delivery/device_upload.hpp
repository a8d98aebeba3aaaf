// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/backoff.hpp"
#include "delivery/device_report.hpp"
#include "delivery/fetch_wish.hpp"
#include "delivery/https.hpp"
#include "delivery/pack_size.hpp"
#include "delivery/parking.hpp"
#include "delivery/upload_ports.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// The uploads of one device: what it should post next and when, the post it has on its way, and what an
// answer means for its readings. Owned by the uploader, which decides whose turn it is; loop only. It holds
// no readings but those on their way and those under suspicion: after a crash they are still in the queue.
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
    std::int64_t when_ms = 0; ///< CLOCK_BOOTTIME
};

/// A stretch of a batch. `batch` is shared because halves of halves of one pack are posted at different
/// times; the last one frees it.
struct Slice {
    std::shared_ptr<const Batch> batch;
    std::size_t from = 0, count = 0;
};

class DeviceUpload {
public:
    /// `ports` outlives the device.
    DeviceUpload(UploadPorts& ports, UploadDevice device);
    DeviceUpload(const DeviceUpload&) = delete;
    DeviceUpload& operator=(const DeviceUpload&) = delete;

    /// Also brings back a device that was removed or retired. One whose secret or name changed is tried at
    /// once.
    void update(const UploadDevice& device);
    /// What waits is still sent, but no post is made only to fetch a downlink.
    void retire();
    /// Hands back what is held apart from a post on its way. The device goes when its turn has ended.
    void remove();
    /// As remove(), and the post on its way is given up too: its answer will not be heard.
    void close();
    /// The configuration changed; `is_elsewhere`: so did the platform's address.
    void configure(bool is_elsewhere);
    /// An operator, a new secret or a new address: no more waiting.
    void try_now();
    /// Ends a wait of its own after a failure, but not one that the platform asked for.
    void on_link_up();
    void ask_for_fetch() { fetch_.ask(ports_.clock.boot_ms()); }

    /// Whether the device is to be looked at soon. True if that is news.
    [[nodiscard]] bool mark_notified() { return !std::exchange(is_notified_, true); }
    void end_notified() { is_notified_ = false; }

    /// The next post, if there is anything to post. Not to be asked while busy.
    /// Order: again, search, then by due time live, recheck, backlog, and a repeat only if nothing waits; of
    /// live posts three in a row (one, with a quota) are followed by one of the backlog. While parked only
    /// probes; while flushing only what is live or may have arrived before.
    [[nodiscard]] std::optional<UploadPlan> plan() const;
    /// Begins a turn with a post of readings that are held here; none if they must be taken from the queue.
    [[nodiscard]] std::optional<Post> begin(Purpose purpose);
    /// Takes the readings of a turn from the queue; `handler` may be called at once.
    void take(Purpose purpose, std::function<void(Batch)> handler);
    /// Packs what was taken. What can never be sent becomes a dead letter here; none if nothing is left.
    [[nodiscard]] std::optional<Post> on_taken(Purpose purpose, Batch batch);
    /// The turn is over, whatever came of it.
    void end_turn() { is_busy_ = false; }

    void note_answer(const Answer& answer, const Verdict& verdict, const Explanation& words) {
        report_.note_answer(answer, verdict, words);
    }
    /// What becomes of the readings of the post, by verdict:
    ///   delivered    settled as accepted; ends parking
    ///   retry        kept, to be sent again byte-identical if they may have arrived
    ///   park         kept, and everything that was under suspicion too
    ///   halve        kept, with lower limits; one alone is treated as by bisect
    ///   bisect       halved until one alone is refused; tried once more after a minute, then a dead letter
    ///   misdirected  kept; the whole uplink pauses
    void on_answer(const Answer& answer, const Verdict& verdict, bool is_uplink_down);

    [[nodiscard]] const UploadDevice& device() const { return device_; }
    [[nodiscard]] bool is_busy() const { return is_busy_; } ///< takes readings, or has a post out
    [[nodiscard]] bool is_sending() const { return flight_.has_value(); }
    [[nodiscard]] bool is_removed() const { return is_removed_; }
    [[nodiscard]] bool is_parked() const { return parking_.is_parked(); }
    [[nodiscard]] const Explanation& last() const { return report_.last(); }
    /// `uplink_problem`: why the uplink is down; empty if it is up.
    [[nodiscard]] DeviceUploads status(const std::string& uplink_problem) const;

private:
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
    /// After a failure of its own. A device that waits is not planned before `until_ms`.
    struct Wait {
        std::int64_t until_ms = 0;
        std::string reason;
        bool is_asked = false; ///< by the platform
    };

    /// Whatever may have arrived goes first, then ten waiting readings, then what was accepted before.
    [[nodiscard]] std::optional<UploadPlan> plan_parked(const Waiting& waiting) const;
    [[nodiscard]] UploadPlan plan_usual(const Waiting& waiting, bool has_quota) const;
    [[nodiscard]] std::int64_t live_due_ms(const Waiting& waiting) const;
    [[nodiscard]] Post make_post(Flight flight, std::string body);
    void on_delivered(const Flight& flight, const Answer& answer);
    void on_retry(Flight flight, const Answer& answer, const Verdict& verdict, bool is_uplink_down);
    void on_refused_device(const Flight& flight);
    void on_too_large(const Flight& flight, const Verdict& verdict);
    void on_refused_content(const Flight& flight, const std::string& reason);
    void search_in_halves(const Slice& all);
    void park(bool by_content);
    void unpark();
    void check_again_later(const Slice& slice, const std::string& reason);
    void set_aside(const Slice& slice, const std::string& reason);
    void settle(const Flight& flight, Fate fate);
    void keep(const Slice& slice);

    UploadPorts& ports_;
    UploadDevice device_;
    DeviceReport report_;
    Parking parking_;
    PackSize size_;
    FetchWish fetch_;
    Backoff backoff_;
    Wait wait_;
    std::optional<Flight> flight_;
    std::vector<Span> again_;           ///< to be sent once more, byte-identical; empty: none
    std::vector<Slice> suspects_;       ///< the next one at the back
    std::deque<Recheck> rechecks_;      ///< by time
    std::optional<Reading> newest_;     ///< newest accepted one
    std::int64_t nothing_until_ms_ = 0; ///< the queue had nothing to hand out although it counts some
    std::int64_t last_post_ms_ = 0;     ///< 0: none yet
    int refusals_in_a_row_ = 0;         ///< posts whose content was refused since one was accepted
    int live_in_a_row_ = 0;
    bool is_busy_ = false, is_notified_ = false, is_removed_ = false, is_retired_ = false;
};

} // namespace things
