// SPDX-License-Identifier: Apache-2.0
#include "delivery/uploader.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace things {

namespace {

// A hold that ends sooner is not worth telling.
constexpr std::int64_t soon_ms = 2000;
constexpr std::size_t most_next_answers = 64;

UploadSchedule::Rank rank_of(Purpose purpose) {
    return purpose == Purpose::backlog ? UploadSchedule::Rank::second : UploadSchedule::Rank::first;
}

} // namespace

Uploader::Uploader(boost::asio::io_context& loop, const Clock& clock, Backlog& backlog, Https& https,
                   const ThingsConfig& things, const BatchConfig& batch, UploadHooks hooks)
    : loop_(loop), https_(https), ports_(clock, backlog, things, batch, std::move(hooks)),
      uplink_(things.retry_initial, things.retry_max), report_(ports_), time_(loop, https, ports_),
      ticker_(loop, clock, [this] { tick(); }) {
    ports_.host = host_of(things.url);
}

Uploader::~Uploader() {
    close();
}

DeviceUpload* Uploader::find(DeviceId device) {
    const auto found = devices_.find(device);
    return found == devices_.end() ? nullptr : &found->second;
}

void Uploader::update(const UploadDevice& what) {
    if (DeviceUpload* device = find(what.id))
        device->update(what);
    else
        devices_.try_emplace(what.id, ports_, what);
    notify(what.id);
}

void Uploader::remove(DeviceId id) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    schedule_.forget(id);
    std::erase_if(next_answers_, [id](const NextAnswer& next) { return next.device == id; });
    device->remove();
    if (!device->is_busy())
        devices_.erase(id);
}

void Uploader::retire(DeviceId id) {
    if (DeviceUpload* device = find(id)) {
        device->retire();
        notify(id);
    }
}

void Uploader::configure(const ThingsConfig& things, const BatchConfig& batch) {
    const bool is_elsewhere = ports_.things.url != things.url;
    ports_.things = things;
    ports_.batch = batch;
    ports_.host = host_of(things.url);
    if (is_elsewhere) // what the old address refused, or asked to wait for, says nothing of this one
        uplink_.breaker().wake(ports_.clock.boot_ms());
    uplink_.breaker().set_range(things.retry_initial, things.retry_max);
    for (auto& [id, device] : devices_) {
        device.configure(is_elsewhere);
        notify(id);
    }
}

void Uploader::notify(DeviceId id) {
    DeviceUpload* device = find(id);
    // A busy device is looked at when its answer has come.
    if (device == nullptr || device->is_busy() || !device->mark_notified())
        return;
    notified_.push_back(id);
    ticker_.soon();
}

void Uploader::request_post(DeviceId id) {
    if (DeviceUpload* device = find(id)) {
        device->ask_for_fetch();
        notify(id);
    }
}

void Uploader::retry_now(DeviceId id) {
    if (DeviceUpload* device = find(id)) {
        device->try_now();
        uplink_.breaker().wake(ports_.clock.boot_ms());
        notify(id);
    }
}

void Uploader::ask_time() {
    if (!is_closed_)
        time_.ask();
}

void Uploader::on_link_up() {
    https_.renew();
    uplink_.breaker().wake(ports_.clock.boot_ms());
    for (auto& [id, device] : devices_) {
        device.on_link_up();
        notify(id);
    }
    ticker_.soon();
}

void Uploader::tick() {
    if (is_closed_)
        return;
    std::vector<DeviceId> notified;
    notified.swap(notified_);
    for (const DeviceId id : notified) {
        if (DeviceUpload* device = find(id)) {
            device->end_notified();
            look_at(*device);
        }
    }
    const std::int64_t now = ports_.clock.boot_ms();
    while (const auto id = schedule_.pop_due(now))
        if (DeviceUpload* device = find(*id))
            look_at(*device);
    while (!is_closed_ && in_flight_ < static_cast<std::size_t>(std::max(1, ports_.things.parallel)) &&
           start_next()) {
    }
    if (flush_ &&
        (now >= flush_->until_ms || (in_flight_ == 0 && (!schedule_.has_ready() || uplink_.is_down())))) {
        close();
        if (flush_->done)
            boost::asio::post(loop_, std::exchange(flush_->done, {}));
    }
    set_timer();
}

void Uploader::set_timer() {
    std::int64_t next = schedule_.next_due_ms().value_or(std::numeric_limits<std::int64_t>::max());
    if (schedule_.has_ready() && in_flight_ < static_cast<std::size_t>(std::max(1, ports_.things.parallel)))
        next = std::min(next, uplink_.breaker().next_try_ms().value_or(next));
    if (flush_)
        next = std::min(next, flush_->until_ms);
    ticker_.at(next);
}

void Uploader::look_at(DeviceUpload& device) {
    const DeviceId id = device.device().id;
    if (device.is_busy() || device.is_removed() || is_closed_)
        return;
    const auto plan = device.plan();
    if (!plan)
        // Nothing waits: notify() brings it back.
        schedule_.forget(id);
    else if (plan->when_ms <= ports_.clock.boot_ms())
        schedule_.set_ready(id, rank_of(plan->purpose));
    else
        schedule_.set_due(id, plan->when_ms);
}

bool Uploader::start_next() {
    const std::int64_t now = ports_.clock.boot_ms();
    const auto next_try = uplink_.breaker().next_try_ms();
    if (uplink_.breaker().state() != Breaker::State::closed && (!next_try || *next_try > now))
        return false;
    const auto id = schedule_.pop_ready();
    if (!id)
        return false;
    DeviceUpload* device = find(*id);
    if (device == nullptr || device->is_busy())
        return true;
    // Things may have changed while it stood in line.
    const auto plan = device->plan();
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

void Uploader::start(DeviceUpload& device, Purpose purpose) {
    ++in_flight_;
    const DeviceId id = device.device().id;
    if (auto post = device.begin(purpose))
        return send(id, std::move(*post));
    device.take(purpose, [this, alive = std::weak_ptr(alive_), id, purpose](Batch batch) {
        if (!alive.expired())
            on_taken(id, purpose, std::move(batch));
    });
}

void Uploader::on_taken(DeviceId id, Purpose purpose, Batch batch) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    if (auto post = device->on_taken(purpose, std::move(batch)))
        return send(id, std::move(*post));
    // Without this the breaker would wait for the answer to a probe that never left.
    uplink_.on_unsent(id, ports_.clock.boot_ms());
    release(*device);
}

void Uploader::send(DeviceId id, Post post) {
    auto handler = [this, &loop = loop_, alive = std::weak_ptr(alive_), id](Answer answer) {
        // The handler is called on the upload thread.
        boost::asio::post(loop, [this, alive, id, answer = std::move(answer)] {
            if (!alive.expired())
                on_answer(id, answer);
        });
    };
    https_.post(std::move(post), std::move(handler));
}

void Uploader::on_answer(DeviceId id, const Answer& answer) {
    DeviceUpload* device = find(id);
    if (device == nullptr || !device->is_sending())
        return; // settled when the uploader was closed
    const std::int64_t now_wall = ports_.clock.wall_ms();
    const Verdict verdict = judge(answer, now_wall);
    time_.note(answer); // first: the clock may become right, which explains a TLS failure in another way
    const UploadDevice& known = device->device();
    const Explanation words = explain(
        answer, {ports_.host, known.name, known.dvnuuid, now_wall, ports_.hooks.is_clock_plausible()});
    ++ports_.totals.answers.at(static_cast<std::size_t>(classify(answer)));
    if (answer.error == TransportError::none)
        ports_.totals.latency = answer.duration;
    device->note_answer(answer, verdict, words);
    const std::uint64_t failures_before = uplink_.failures();
    const Uplink::Change change =
        uplink_.on_answer(id, verdict, devices_.size() == 1, ports_.clock.boot_ms(), ports_.hooks.random());
    report_.on_answer(change, uplink_, failures_before, answer, words);
    // Before its readings are settled: the backlog keeps a command not later than that.
    if (verdict.next == Next::delivered && !answer.body.empty() && !device->is_removed())
        ports_.hooks.on_answer(id, answer.body);
    if (verdict.next == Next::delivered_with_error && !device->is_removed())
        ports_.hooks.on_broken_answer(id, verdict.reason);
    device->on_answer(answer, verdict, uplink_.is_down());
    release(*device);
    if (next_answers_.empty())
        return;
    const bool is_accepted = verdict.next == Next::delivered || verdict.next == Next::delivered_with_error;
    tell_waiting(id, {is_accepted, answer.status, words.text()}, uplink_.failures() != failures_before);
}

void Uploader::release(DeviceUpload& device) {
    device.end_turn();
    --in_flight_;
    if (device.is_removed()) {
        device.remove(); // what the last answer put under suspicion
        devices_.erase(device.device().id);
    } else {
        look_at(device);
    }
    ticker_.soon();
}

void Uploader::on_next_answer(DeviceId id, std::function<void(const PostResult&)> handler) {
    const DeviceUpload* device = find(id);
    if (device == nullptr || is_closed_)
        return;
    if (next_answers_.size() >= most_next_answers)
        next_answers_.erase(next_answers_.begin());
    next_answers_.push_back({id, std::move(handler), device->is_sending()});
}

void Uploader::tell_waiting(DeviceId id, const PostResult& result, bool is_uplink_failure) {
    const DeviceUpload* device = find(id);
    const auto plan = device == nullptr || uplink_.is_down() ? std::nullopt : device->plan();
    const bool is_another_next = plan && plan->when_ms <= ports_.clock.boot_ms();
    std::vector<NextAnswer> still_waiting;
    for (NextAnswer& next : next_answers_) {
        const DeviceUpload* other = find(next.device);
        const bool is_its_answer = next.device == id
                                       ? !(std::exchange(next.is_second, false) && is_another_next)
                                       : is_uplink_failure && other != nullptr && !other->is_sending();
        if (is_its_answer)
            boost::asio::post(loop_, [handler = std::move(next.handler), result] { handler(result); });
        else
            still_waiting.push_back(std::move(next));
    }
    next_answers_ = std::move(still_waiting);
}

void Uploader::shutdown(Milliseconds within, std::function<void()> done) {
    ports_.is_flushing = true;
    flush_ = Flush{ports_.clock.boot_ms() + within.count(), std::move(done)};
    for (const auto& [id, device] : devices_)
        notify(id);
    ticker_.soon();
}

void Uploader::close() {
    if (std::exchange(is_closed_, true))
        return;
    next_answers_.clear();
    ticker_.close();
    for (auto& [id, device] : devices_)
        device.close();
}

DeviceUploads Uploader::status(DeviceId id) const {
    const auto found = devices_.find(id);
    return found == devices_.end() ? DeviceUploads()
                                   : found->second.status(uplink_.is_down() ? uplink_.reason() : "");
}

Explanation Uploader::explain_last(DeviceId id) const {
    const auto found = devices_.find(id);
    if (found == devices_.end())
        return {};
    // While the uplink is down other devices try it too: theirs may be the newer answer.
    return uplink_.is_down() ? report_.last() : found->second.last();
}

std::string Uploader::find_hold(DeviceId id) const {
    const auto found = devices_.find(id);
    if (found == devices_.end() || found->second.is_sending())
        return {};
    const std::int64_t now = ports_.clock.boot_ms();
    const auto in_seconds = [now](std::int64_t when_ms) {
        return (when_ms - now + 999) / 1000;
    };
    const auto next_try = uplink_.breaker().next_try_ms();
    if (uplink_.is_down() && next_try && *next_try > now)
        return fmt::format("{} The next post may leave in {} s.", explain_last(id).text(),
                           in_seconds(*next_try));
    const auto plan = found->second.plan();
    if (plan && plan->when_ms > now + soon_ms && ports_.things.min_interval.count() > 0)
        return fmt::format(
            "things.min_interval lets the next post of {} leave in {} s; its readings are queued.",
            found->second.device().name, in_seconds(plan->when_ms));
    return {};
}

UploadTotals Uploader::totals() const {
    UploadTotals totals = ports_.totals;
    totals.in_flight = in_flight_;
    totals.parked = static_cast<std::size_t>(std::count_if(
        devices_.begin(), devices_.end(), [](const auto& entry) { return entry.second.is_parked(); }));
    totals.is_uplink_open = !uplink_.is_down();
    totals.uplink = uplink_.is_down() ? uplink_.reason() : "up";
    totals.uplink_failures = uplink_.failures();
    totals.uplink_status = report_.last_status();
    return totals;
}

} // namespace things
