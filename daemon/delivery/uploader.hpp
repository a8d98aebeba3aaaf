// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/device_upload.hpp"
#include "delivery/platform_time.hpp"
#include "delivery/schedule.hpp"
#include "delivery/ticker.hpp"
#include "delivery/uplink.hpp"
#include "delivery/uplink_report.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

// Decides whose turn it is: due packs, live before backlog, one request in flight per device and
// `things.parallel` over all; none while the uplink is down but a probe. What a device posts, and what an
// answer means for it, is the device's own business (DeviceUpload). Owned by the gateway; loop only. After a
// crash everything that was not settled is still in the queue.
namespace things {

class Uploader {
public:
    /// All references outlive the uploader.
    Uploader(boost::asio::io_context& loop, const Clock& clock, Backlog& backlog, Https& https,
             const ThingsConfig& things, const BatchConfig& batch, UploadHooks hooks);
    Uploader(const Uploader&) = delete;
    Uploader& operator=(const Uploader&) = delete;
    ~Uploader();

    /// Adds a device, or changes one: a parked device whose secret, DvnUUID or name changed is tried at once.
    void update(const UploadDevice& device);
    /// Forgets a device; what is in flight for it is still settled.
    void remove(DeviceId device);
    /// The device is no longer configured, but what waits is still to be sent: nothing is posted any more
    /// only to fetch a downlink, which may be another gateway's by now. Ends with the next update().
    void retire(DeviceId device);
    /// New limits and intervals after a reload, from the next post of each device on. The URL and TLS
    /// settings belong to Https, which has a configure() of its own.
    void configure(const ThingsConfig& things, const BatchConfig& batch);

    /// Readings of the device were appended. Cheap: marks the device, works later.
    void notify(DeviceId device);
    /// Post soon, to fetch the next downlink; re-posts the newest reading if nothing waits. At most 30 times
    /// per minute and device; later ones wait for the minute to end.
    void request_post(DeviceId device);
    /// An operator asks: forget waits, try this device now.
    void retry_now(DeviceId device);
    /// Calls `handler` once, on the loop and never from within this call, with the answer to the next post of
    /// the device. If one is on its way already its answer counts only if no other post follows at once. If
    /// another device's post finds the uplink down meanwhile, its answer is given.
    /// Not called if no post leaves (find_hold() says why), nor after the device was removed or the uploader
    /// is gone: the caller sets a deadline. Of more than 64 handlers the oldest is dropped.
    void on_next_answer(DeviceId device, std::function<void(const PostResult&)> handler);
    /// Asks the platform for its time, for on_date. Cheap to call each second.
    void ask_time();
    /// Why the last such request brought no time; empty if it did.
    [[nodiscard]] const std::string& time_problem() const { return time_.problem(); }
    /// The network came up: try at once.
    void on_link_up();

    /// Best effort: sends what waits in the live lanes until `within` has passed, then calls `done` once.
    /// Nothing new is sent afterwards, everything unanswered goes back to the queue.
    /// May take `within` in full: a post in flight is not waited for longer. Once.
    void shutdown(Milliseconds within, std::function<void()> done);

    /// Does what is due by the clock. The timer calls it; tests do after moving their clock.
    void tick();

    /// All zeros and an empty state for an unknown device. A copy; cheap.
    [[nodiscard]] DeviceUploads status(DeviceId device) const;
    /// The answer to the device's last post, for a technician; while the uplink is down the last answer that
    /// kept it down, whoever's post it was.
    [[nodiscard]] Explanation explain_last(DeviceId device) const;
    /// Why no post of the device may leave now although an operator asked: a pause that the platform wants,
    /// or things.min_interval. Empty if nothing is in the way.
    [[nodiscard]] std::string find_hold(DeviceId device) const;
    [[nodiscard]] UploadTotals totals() const;

private:
    struct NextAnswer {
        DeviceId device = 0;
        std::function<void(const PostResult&)> handler;
        bool is_second = false; ///< a post was on its way already
    };
    struct Flush {
        std::int64_t until_ms = 0;
        std::function<void()> done;
    };

    /// Null if there is none. The address of a device stays until it is removed.
    [[nodiscard]] DeviceUpload* find(DeviceId device);
    void set_timer();
    /// Decides when the device's next post is due, and puts it where it will be found then.
    void look_at(DeviceUpload& device);
    /// Starts one post; false if none may start now.
    [[nodiscard]] bool start_next();
    /// The device is busy from here to release().
    void start(DeviceUpload& device, Purpose purpose);
    void on_taken(DeviceId id, Purpose purpose, Batch batch);
    void send(DeviceId id, Post post);
    void on_answer(DeviceId id, const Answer& answer);
    void release(DeviceUpload& device);
    void tell_waiting(DeviceId id, const PostResult& result, bool is_uplink_failure);
    /// Nothing is started any more, and what is on its way goes back to the queue.
    void close();

    boost::asio::io_context& loop_;
    Https& https_;
    UploadPorts ports_;
    Uplink uplink_;
    UplinkReport report_;
    PlatformTime time_;
    Ticker ticker_;
    UploadSchedule schedule_;
    std::unordered_map<DeviceId, DeviceUpload> devices_;
    std::vector<DeviceId> notified_;       ///< to be looked at in the next tick
    std::vector<NextAnswer> next_answers_; ///< who waits for one; usually nobody
    std::size_t in_flight_ = 0;            ///< devices that take readings or wait for an answer
    std::optional<Flush> flush_;           ///< shutdown has begun
    bool is_closed_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(); // handlers that come later find it expired
};

} // namespace things
