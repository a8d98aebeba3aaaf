// SPDX-License-Identifier: Apache-2.0
#include "delivery/upload_work.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

// CLOCK_BOOTTIME goes on during suspend, the timer's clock does not: look now and then.
constexpr std::int64_t longest_timer_ms = 60'000;
// Less is not worth telling.
constexpr std::int64_t soon_ms = 2000;

UploadSchedule::Rank rank_of(Purpose purpose) {
    return purpose == Purpose::backlog ? UploadSchedule::Rank::second : UploadSchedule::Rank::first;
}

} // namespace

UploadWork::UploadWork(boost::asio::io_context& loop, const Clock& clock, Backlog& backlog, Https& https,
                       const ThingsConfig& things, const BatchConfig& batch, UploadHooks hooks)
    : loop_(loop), clock_(clock), backlog_(backlog), https_(https), things_(things), batch_(batch),
      hooks_(std::move(hooks)), host_(host_of(things.url)), packer_(hooks_.find_series),
      uplink_(things.retry_initial, things.retry_max), timer_(loop) {}

DeviceUpload* UploadWork::find(DeviceId device) {
    const auto found = devices_.find(device);
    return found == devices_.end() ? nullptr : &found->second;
}

void UploadWork::update(const UploadDevice& what) {
    DeviceUpload* device = find(what.id);
    if (device == nullptr) {
        devices_.try_emplace(what.id, what, things_);
    } else {
        device->is_removed = false;
        const bool is_known_so = device->device.name == what.name && !device->is_retired;
        const bool is_changed =
            device->device.secret != what.secret || device->device.dvnuuid != what.dvnuuid || !is_known_so;
        device->is_retired = false;
        // Its alarm stands under another name.
        device->is_park_told = device->is_park_told && is_known_so;
        if (!is_known_so)
            device->told_failure.clear();
        // Under another identity the same bytes are another pack.
        if (device->device.dvnuuid != what.dvnuuid)
            device->again.clear();
        device->device = what;
        device->base_name = senml_base_name(what.dvnuuid);
        if (is_changed)
            device->try_now(clock_.boot_ms());
    }
    notify(what.id);
}

void UploadWork::remove(DeviceId id) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    schedule_.forget(id);
    std::erase_if(next_answers_, [id](const NextAnswer& next) { return next.device == id; });
    give_back(*device);
    device->is_removed = true;
    if (!device->is_busy)
        devices_.erase(id);
}

void UploadWork::retire(DeviceId id) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    device->is_retired = true;
    device->is_park_told = false; // its alarms went with its name
    device->told_failure.clear();
    notify(id);
}

void UploadWork::configure(const ThingsConfig& things, const BatchConfig& batch) {
    const bool is_elsewhere = things_.url != things.url;
    things_ = things;
    batch_ = batch;
    host_ = host_of(things.url);
    if (is_elsewhere) // what the old address refused, or asked to wait for, says nothing of this one
        uplink_.breaker().wake(clock_.boot_ms());
    uplink_.breaker().set_range(things.retry_initial, things.retry_max);
    for (auto& [id, device] : devices_) {
        device.backoff.set_range(things.retry_initial, things.retry_max);
        if (is_elsewhere)
            device.try_now(clock_.boot_ms());
        notify(id);
    }
}

void UploadWork::notify(DeviceId id) {
    DeviceUpload* device = find(id);
    if (device == nullptr || device->is_notified || device->is_busy)
        return; // a busy device is looked at when its answer has come
    device->is_notified = true;
    notified_.push_back(id);
    post_tick();
}

void UploadWork::request_post(DeviceId id) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    device->ask_for_fetch(clock_.boot_ms());
    notify(id);
}

void UploadWork::retry_now(DeviceId id) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    device->try_now(clock_.boot_ms());
    uplink_.breaker().wake(clock_.boot_ms());
    notify(id);
}

void UploadWork::on_link_up() {
    https_.renew();
    uplink_.breaker().wake(clock_.boot_ms());
    for (auto& [id, device] : devices_) {
        if (device.not_before_ms != 0 && !device.is_wait_asked)
            device.not_before_ms = 0;
        notify(id);
    }
    post_tick();
}

void UploadWork::post_tick() {
    if (is_tick_posted_)
        return;
    is_tick_posted_ = true;
    boost::asio::post(loop_, [weak = weak_from_this()] {
        if (const auto self = weak.lock())
            self->tick();
    });
}

void UploadWork::tick() {
    is_tick_posted_ = false;
    if (is_closed_)
        return;
    std::vector<DeviceId> notified;
    notified.swap(notified_);
    for (const DeviceId id : notified) {
        if (DeviceUpload* device = find(id)) {
            device->is_notified = false;
            look_at(*device);
        }
    }
    const std::int64_t now = clock_.boot_ms();
    while (const auto id = schedule_.pop_due(now))
        if (DeviceUpload* device = find(*id))
            look_at(*device);
    pump();
    if (is_flushing_ && (now >= flush_until_ms_ || (in_flight_ == 0 && !schedule_.has_ready()) ||
                         (in_flight_ == 0 && uplink_.is_down())))
        finish_shutdown();
    arm_timer();
}

void UploadWork::arm_timer() {
    const std::int64_t now = clock_.boot_ms();
    std::int64_t next = now + longest_timer_ms;
    if (const auto due = schedule_.next_due_ms())
        next = std::min(next, *due);
    const auto limit = static_cast<std::size_t>(std::max(1, things_.parallel));
    if (schedule_.has_ready() && in_flight_ < limit)
        next = std::min(next, uplink_.breaker().next_try_ms().value_or(next));
    if (is_flushing_)
        next = std::min(next, flush_until_ms_);
    // A due time in the past (a refusal of the breaker, say) must not spin the loop.
    next = std::max(next, now + 1);
    if (is_closed_ || next == timer_ms_)
        return;
    timer_ms_ = next;
    timer_.expires_after(Milliseconds(next - now));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || self == nullptr)
            return;
        self->timer_ms_ = 0;
        self->tick();
    });
}

/// Decides when the device's next post is due, and puts it where it will be found then.
void UploadWork::look_at(DeviceUpload& device) {
    const DeviceId id = device.device.id;
    if (device.is_busy || device.is_removed || is_closed_)
        return;
    const std::int64_t now = clock_.boot_ms();
    const auto plan = device.plan(backlog_.waiting(id), things_, batch_, is_flushing_, now);
    if (!plan)
        // Nothing waits: notify() brings it back.
        schedule_.forget(id);
    else if (plan->when_ms <= now)
        schedule_.set_ready(id, rank_of(plan->purpose));
    else
        schedule_.set_due(id, plan->when_ms);
}

void UploadWork::pump() {
    while (!is_closed_ && in_flight_ < static_cast<std::size_t>(std::max(1, things_.parallel)) &&
           start_next()) {
    }
}

/// Starts one post; false if none may start now.
bool UploadWork::start_next() {
    const std::int64_t now = clock_.boot_ms();
    const auto next_try = uplink_.breaker().next_try_ms();
    if (uplink_.breaker().state() != Breaker::State::closed && (!next_try || *next_try > now))
        return false;
    const auto id = schedule_.pop_ready();
    if (!id)
        return false;
    DeviceUpload* device = find(*id);
    if (device == nullptr || device->is_busy)
        return true;
    // Things may have changed while it stood in line.
    const auto plan = device->plan(backlog_.waiting(*id), things_, batch_, is_flushing_, now);
    if (!plan || plan->when_ms > now) {
        look_at(*device);
        return true;
    }
    if (!uplink_.admit(*id, now)) {
        look_at(*device);
        return false;
    }
    start(*device, plan->purpose);
    return true;
}

/// Hands back what is held here apart from a post in flight.
void UploadWork::give_back(DeviceUpload& device) {
    for (const Slice& slice : device.suspects)
        keep(slice);
    for (const Recheck& recheck : device.rechecks)
        keep(recheck.slice);
    device.suspects.clear();
    device.rechecks.clear();
}

void UploadWork::shutdown(Milliseconds within, std::function<void()> done) {
    is_flushing_ = true;
    flush_until_ms_ = clock_.boot_ms() + within.count();
    on_flushed_ = std::move(done);
    for (const auto& [id, device] : devices_)
        notify(id);
    post_tick();
}

void UploadWork::finish_shutdown() {
    close();
    if (on_flushed_)
        boost::asio::post(loop_, std::exchange(on_flushed_, {}));
}

void UploadWork::close() {
    if (is_closed_)
        return;
    is_closed_ = true;
    next_answers_.clear();
    timer_.cancel();
    for (auto& [id, device] : devices_) {
        if (device.flight) {
            settle(*device.flight, Fate::kept);
            device.flight.reset();
        }
        give_back(device);
    }
}

DeviceUploads UploadWork::status(DeviceId id) const {
    const auto found = devices_.find(id);
    if (found == devices_.end())
        return {};
    const DeviceUpload& device = found->second;
    DeviceUploads stats = device.stats;
    const PackLimits limits = device.limits(things_, batch_);
    stats.max_records = limits.max_records;
    stats.max_bytes = limits.max_bytes;
    stats.is_parked = device.is_parked;
    if (device.is_parked)
        stats.state = "parked: " + device.park_reason;
    else if (device.flight)
        stats.state = "sending";
    else if (!device.suspects.empty())
        stats.state = "searching for a reading that the platform refuses";
    else if (uplink_.is_down())
        stats.state = "waiting for the uplink: " + uplink_.reason();
    else if (device.not_before_ms > clock_.boot_ms())
        stats.state = "waiting for a retry: " + device.waits_for;
    else
        stats.state = "idle";
    return stats;
}

Explanation UploadWork::explain_last(DeviceId id) const {
    const auto found = devices_.find(id);
    if (found == devices_.end())
        return {};
    // While the uplink is down other devices try it too: theirs may be the newer answer.
    return uplink_.is_down() ? uplink_last_ : found->second.last;
}

std::string UploadWork::find_hold(DeviceId id) const {
    const auto found = devices_.find(id);
    if (found == devices_.end() || found->second.flight)
        return {};
    const std::int64_t now = clock_.boot_ms();
    const auto in_seconds = [now](std::int64_t when_ms) {
        return (when_ms - now + 999) / 1000;
    };
    const auto next_try = uplink_.breaker().next_try_ms();
    if (uplink_.is_down() && next_try && *next_try > now)
        return fmt::format("{} The next post may leave in {} s.", explain_last(id).text(),
                           in_seconds(*next_try));
    const auto plan = found->second.plan(backlog_.waiting(id), things_, batch_, is_flushing_, now);
    if (plan && plan->when_ms > now + soon_ms && things_.min_interval.count() > 0)
        return fmt::format(
            "things.min_interval lets the next post of {} leave in {} s; its readings are queued.",
            found->second.device.name, in_seconds(plan->when_ms));
    return {};
}

UploadTotals UploadWork::totals() const {
    UploadTotals totals = totals_;
    totals.in_flight = in_flight_;
    totals.parked = static_cast<std::size_t>(std::count_if(
        devices_.begin(), devices_.end(), [](const auto& entry) { return entry.second.is_parked; }));
    totals.is_uplink_open = !uplink_.is_down();
    totals.uplink = uplink_.is_down() ? uplink_.reason() : "up";
    totals.uplink_failures = uplink_.failures();
    totals.uplink_status = uplink_status_;
    return totals;
}

} // namespace things
