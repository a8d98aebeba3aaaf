// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "delivery/explanation.hpp"
#include "delivery/https.hpp"
#include "delivery/packer.hpp"
#include "delivery/upload_status.hpp"
#include "model/backlog.hpp"
#include "platform/clock.hpp"

#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

// Decides what is sent when: due packs, live before backlog, one request in flight per device and
// `things.parallel` over all, retries, parked devices, poisoned readings. Loop only. Holds no readings but
// those in flight (and, while a poisoned one is searched for, those of that pack): after a crash everything
// that was not settled is still in the queue.
namespace things {

/// `secret` is used for every pack from the next one on; it is never shown.
struct UploadDevice {
    DeviceId id = 0;
    std::string name;
    std::string dvnuuid;
    Secret secret;
};

/// What the uploader calls, always on the loop. None may be empty.
struct UploadHooks {
    FindSeries find_series;
    /// A complete answer that accepts had a body. Its readings are settled right after this returns, so that
    /// a command that is stored here is never settled later than they are. Must not remove a device.
    std::function<void(DeviceId, const std::string& body)> on_answer;
    /// A 202 broke off or was too long. The pack is accepted, but a downlink in it is lost.
    std::function<void(DeviceId, const std::string& reason)> on_broken_answer;
    std::function<void(const UploadAlarm&)> on_alarm;
    std::function<void(const UploadAlarm&)> on_recovered;
    /// Whether the system clock can be right; a TLS failure is explained as a wrong clock when not.
    std::function<bool()> is_clock_plausible;
    /// Uniform in [0, 1).
    std::function<double()> random;
    /// A whole answer over verified TLS carried the platform's time. May be empty.
    std::function<void(std::int64_t date_ms, Milliseconds took)> on_date;
};

class UploadWork;

class Uploader {
public:
    /// All references outlive the uploader.
    Uploader(boost::asio::io_context& loop, const Clock& clock, Backlog& backlog, Https& https,
             const ThingsConfig& things, const BatchConfig& batch, UploadHooks hooks);
    ~Uploader();

    /// Adds a device, or changes one: a parked device whose secret, DvnUUID or name changed is tried at once.
    void update(const UploadDevice& device);
    /// Forgets a device; what is in flight for it is still settled.
    void remove(DeviceId device);
    /// The configuration has it no more, but what waits is still to be sent: nothing is posted any more only
    /// to fetch a downlink, which may be another gateway's by now. Ends with the next update().
    void retire(DeviceId device);
    /// New limits and intervals after a reload. The URL and TLS settings belong to Https,
    /// which has a configure() of its own.
    /// Takes effect with the next post of each device.
    void configure(const ThingsConfig& things, const BatchConfig& batch);

    /// Readings of the device were appended. Cheap: marks the device, works later.
    void notify(DeviceId device);
    /// Post soon, to fetch the next downlink; re-posts the newest reading if nothing waits.
    /// At most 30 a minute and device; later ones wait for the minute to end.
    void request_post(DeviceId device);
    /// An operator asks: forget waits, try this device now.
    void retry_now(DeviceId device);
    /// Calls `handler` once, on the loop and never from within this call, with the answer to the next post of
    /// the device. If one is on its way already its answer counts only if no other post follows at once. If
    /// another device's post finds the uplink down meanwhile, its answer is given.
    /// Not called if no post leaves (find_hold() says why), nor after the device was removed or the uploader
    /// is gone: the caller sets a deadline. Of more than 64 handlers the oldest is dropped.
    void on_next_answer(DeviceId device, std::function<void(const PostResult&)> handler);
    /// Asks the platform for its time with a request that carries no reading and no token, for on_date; cheap
    /// to call each second: it asks every 15 s, or 60 s after one that came to nothing.
    void ask_time();
    /// Why the last such request came to nothing; empty if it did not.
    [[nodiscard]] const std::string& time_problem() const;
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
    std::shared_ptr<UploadWork> work_; // shared with handlers of posts and takes, which may outlive it
};

} // namespace things
