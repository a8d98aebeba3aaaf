// SPDX-License-Identifier: Apache-2.0
#include "delivery/upload_work.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <limits>

namespace things {

namespace {

// Enough to make an accepted probe useful, few enough to be refused cheaply.
constexpr std::size_t probe_readings = 10;
// The queue counts readings that it cannot hand out yet (no wall time, flash not read): do not ask in a
// circle.
constexpr std::int64_t nothing_wait_ms = 1000;
// Three answers in half a minute make the clock trusted (queue/clock_trust.hpp).
constexpr std::int64_t ask_time_every_ms = 15'000;
constexpr std::int64_t ask_time_later_ms = 60'000;
constexpr PackLimits no_limits{std::numeric_limits<std::size_t>::max(),
                               std::numeric_limits<std::size_t>::max()};

/// Leaves the readings [0, count) without the refused ones.
void shrink(Batch& batch, std::size_t count, const std::vector<Refused>& refused) {
    std::size_t to = 0;
    auto next_refused = refused.begin();
    for (std::size_t i = 0; i < count; ++i) {
        if (next_refused != refused.end() && next_refused->index == i) {
            ++next_refused;
            continue;
        }
        if (to != i) {
            batch.readings[to] = std::move(batch.readings[i]);
            batch.sequence[to] = batch.sequence[i];
        }
        ++to;
    }
    batch.readings.resize(to);
    batch.sequence.resize(to);
}

} // namespace

void UploadWork::start(DeviceUpload& device, Purpose purpose) {
    device.is_busy = true;
    ++in_flight_;
    if (purpose == Purpose::search) {
        const Slice slice = device.suspects.back();
        device.suspects.pop_back();
        send_slice(device, purpose, slice);
    } else if (purpose == Purpose::recheck) {
        const Slice slice = device.rechecks.front().slice;
        device.rechecks.pop_front();
        send_slice(device, purpose, slice);
    } else if (purpose == Purpose::repeat) {
        send_repeat(device);
    } else {
        take(device, purpose);
    }
}

void UploadWork::take(DeviceUpload& device, Purpose purpose) {
    const DeviceId id = device.device.id;
    auto handler = [weak = weak_from_this(), id, purpose](Batch batch) {
        if (const auto self = weak.lock())
            self->on_taken(id, purpose, std::move(batch));
    };
    if (purpose == Purpose::again) {
        backlog_.take(id, device.again, std::move(handler));
        return;
    }
    const Waiting waiting = backlog_.waiting(id);
    std::size_t most = device.readings_for(device.limits(things_, batch_));
    Lane lane = purpose == Purpose::backlog ? Lane::backlog : Lane::live;
    if (purpose == Purpose::probe) {
        most = std::min(most, probe_readings);
        lane = waiting.live > 0 ? Lane::live : Lane::backlog;
    }
    backlog_.take(id, lane, most, std::move(handler));
}

void UploadWork::on_taken(DeviceId id, Purpose purpose, Batch batch) {
    DeviceUpload* device = find(id);
    if (device == nullptr)
        return;
    // They were taken before that happened: the queue is to have them back.
    if (is_closed_ || device->is_removed) {
        if (!batch.readings.empty())
            backlog_.settle(batch, 0, batch.readings.size(), Fate::kept, {});
        release_unsent(*device);
        return;
    }
    if (batch.readings.empty()) {
        if (purpose == Purpose::again)
            device->again.clear(); // dropped by the queue meanwhile
        else
            device->nothing_until_ms = clock_.boot_ms() + nothing_wait_ms;
        release_unsent(*device);
        return;
    }
    Pack pack;
    auto sent = std::make_shared<const Batch>(pack_batch(*device, purpose, std::move(batch), pack));
    if (pack.records == 0) {
        release_unsent(*device);
        return;
    }
    device->live_in_a_row = purpose == Purpose::live ? device->live_in_a_row + 1 : 0;
    const std::size_t count = sent->readings.size();
    send(*device, {purpose, {std::move(sent), 0, count}, 0}, std::move(pack.body));
}

/// Packs what fits of the batch, settles the rest, and leaves what is in the pack.
Batch UploadWork::pack_batch(DeviceUpload& device, Purpose purpose, Batch batch, Pack& pack) {
    const std::size_t taken = batch.readings.size();
    // The same readings as before, even if the limits have changed: doubles can be told only by equal bytes.
    const PackLimits limits = purpose == Purpose::again ? no_limits : device.limits(things_, batch_);
    pack = packer_.pack(device.base_name, batch, 0, taken, limits);
    for (const Refused& refused : pack.refused) {
        backlog_.settle(batch, refused.index, 1, Fate::dead, refused.reason);
        ++device.stats.dead;
        ++totals_.readings_dead;
        log_dead(device, refused.reason);
    }
    if (pack.used < taken)
        backlog_.settle(batch, pack.used, taken - pack.used, Fate::kept, {});
    shrink(batch, pack.used, pack.refused);
    return batch;
}

void UploadWork::send_slice(DeviceUpload& device, Purpose purpose, Slice slice) {
    Pack pack = packer_.pack(device.base_name, *slice.batch, slice.from, slice.count, no_limits);
    send(device, {purpose, std::move(slice), 0}, std::move(pack.body));
}

void UploadWork::send_repeat(DeviceUpload& device) {
    auto batch = std::make_shared<Batch>();
    batch->device = device.device.id;
    batch->readings.push_back(*device.newest);
    Pack pack = packer_.pack(device.base_name, *batch, 0, 1, no_limits);
    send(device, {Purpose::repeat, {std::move(batch), 0, 1}, 0}, std::move(pack.body));
}

void UploadWork::send(DeviceUpload& device, Flight flight, std::string body) {
    flight.bytes = body.size();
    device.note_packed(flight.slice.count, flight.bytes);
    device.note_posted(clock_.boot_ms());
    device.flight = std::move(flight);
    std::string token = signer_.sign(body, device.device.secret);
    auto handler = [weak = weak_from_this(), &loop = loop_, id = device.device.id](Answer answer) {
        // The handler is called on the upload thread.
        boost::asio::post(loop, [weak, id, answer = std::move(answer)] {
            if (const auto self = weak.lock())
                self->on_answer(id, answer);
        });
    };
    https_.post({std::move(body), std::move(token)}, std::move(handler));
}

void UploadWork::ask_time() {
    if (is_closed_ || is_asking_time_ || clock_.boot_ms() < ask_time_again_ms_)
        return;
    is_asking_time_ = true;
    Post question;
    question.asks_time = true;
    https_.post(std::move(question), [weak = weak_from_this(), &loop = loop_](Answer answer) {
        boost::asio::post(loop, [weak, answer = std::move(answer)] {
            if (const auto self = weak.lock())
                self->on_time_answer(answer);
        });
    });
}

/// It says nothing about devices, and is no probe of the breaker: nothing waits for it but the clock.
void UploadWork::on_time_answer(const Answer& answer) {
    is_asking_time_ = false;
    const bool has_date = answer.error == TransportError::none && parse_http_date(answer.date);
    ask_time_again_ms_ = clock_.boot_ms() + (has_date ? ask_time_every_ms : ask_time_later_ms);
    Circumstances around{host_, {}, {}, clock_.wall_ms(), hooks_.is_clock_plausible()};
    time_problem_ = has_date                               ? std::string()
                    : answer.error == TransportError::none ? host_ + " answered without telling the time."
                                                           : explain(answer, around).text();
    tell_date(answer);
}

void UploadWork::tell_date(const Answer& answer) {
    const auto date = parse_http_date(answer.date);
    if (hooks_.on_date && answer.is_verified && answer.error == TransportError::none && date)
        hooks_.on_date(*date * 1000, answer.duration);
}

/// Without this the breaker would wait for the answer to a probe that never left.
void UploadWork::release_unsent(DeviceUpload& device) {
    uplink_.on_unsent(device.device.id, clock_.boot_ms());
    release(device);
}

/// The device's turn is over, whatever came of it.
void UploadWork::release(DeviceUpload& device) {
    device.is_busy = false;
    --in_flight_;
    if (device.is_removed) {
        const DeviceId id = device.device.id;
        give_back(device);
        devices_.erase(id);
    } else {
        look_at(device);
    }
    post_tick();
}

} // namespace things
