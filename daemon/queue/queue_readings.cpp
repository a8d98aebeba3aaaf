// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "queue/bytes.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cassert>

// Readings in, readings out.
namespace things {

namespace {

constexpr std::int64_t hot_delay_ms = 100;
constexpr std::int64_t same_time_ms = 1000; // an earlier stamp within this is moved, beyond it is a step
constexpr std::int64_t look_every =
    std::int64_t{256} * 1024; // appended bytes between looks at what is unstored
constexpr std::int64_t early_commit =
    std::int64_t{1024} * 1024; // unstored bytes that do not wait for the interval

} // namespace

DeviceId Queue::Impl::add_device(const std::string& dvnuuid) {
    const DeviceId id = catalogue_.device(dvnuuid);
    while (devices_.size() <= id)
        devices_.emplace_back().log.set_live_limit(options_.live_limit);
    return id;
}

SeriesId Queue::Impl::add_series(DeviceId device, const std::string& name, const std::string& unit) {
    const SeriesId id = catalogue_.series(device, name, unit);
    if (last_stamps_.size() <= id)
        last_stamps_.resize(id + 1);
    return id;
}

void Queue::Impl::unique_stamp(Reading& reading, std::uint32_t boot) {
    LastStamp& last = last_stamps_[reading.series];
    // A burst runs ahead of the clock; what comes after it queues up behind without a search.
    if (last.boot == boot && reading.stamp.ms <= last.ms &&
        (reading.stamp.ms >= last.run || reading.stamp.ms > last.ms - same_time_ms))
        reading.stamp.ms = last.ms + 1;
    const bool goes_on = last.boot == boot && reading.stamp.ms == last.ms + 1;
    last = {reading.stamp.ms, goes_on ? last.run : reading.stamp.ms, boot};
}

bool Queue::Impl::append(Reading reading, bool urgent) {
    const DeviceId id = catalogue_.all_series()[reading.series].device;
    Device& device = devices_[id];
    ++books_.read;
    any_change_ = true;
    if (memory_ > options_.memory_limit) {
        limit_memory();
        if (memory_ > options_.memory_limit) {
            books_.drop(DropReason::memory, 1);
            return false;
        }
    }
    std::uint32_t boot = 0;
    if (reading.stamp.clock == Stamp::Clock::boot) {
        Boot& present = boots_.back();
        if (present.clock == Boot::Clock::anchored) {
            reading.stamp = {reading.stamp.ms + present.offset_ms, Stamp::Clock::wall};
        } else {
            boot = present.number;
            present.is_used = true;
        }
    }
    unique_stamp(reading, boot);
    const std::int64_t now = clock_.boot_ms();
    const std::int64_t before = device.log.memory();
    device.log.append(reading, boot, now, urgent);
    const std::int64_t grown = device.log.memory() - before;
    memory_ += grown;
    appended_bytes_ += std::max<std::int64_t>(grown, 4);
    if (!device.is_dirty) {
        device.is_dirty = true;
        dirty_.push_back(id);
    }
    if (hot_due_ms_ == 0) {
        hot_due_ms_ = now + hot_delay_ms;
        arm_timer();
    }
    if (appended_bytes_ > look_every) {
        appended_bytes_ = 0;
        flush_hot();
        if (unstored_bytes() > std::min(early_commit, options_.config.max_size / 16))
            start_commit();
    }
    return true;
}

void Queue::Impl::take(DeviceId id, Lane lane, std::size_t most, std::function<void(Batch)> handler) {
    Request request;
    request.by_lane = true;
    request.lane = lane;
    request.most = most;
    request.handler = std::move(handler);
    devices_[id].requests.push_back(std::move(request));
    serve(id);
}

void Queue::Impl::take(DeviceId id, const std::vector<Span>& spans, std::function<void(Batch)> handler) {
    Request request;
    request.spans = spans;
    request.handler = std::move(handler);
    devices_[id].requests.push_back(std::move(request));
    serve(id);
}

/// Answers requests in order until one has to wait for flash.
void Queue::Impl::serve(DeviceId id) {
    Device& device = devices_[id];
    while (!device.is_loading && !device.requests.empty()) {
        Request request = std::move(device.requests.front());
        device.requests.pop_front();
        if (!try_serve(id, request))
            device.requests.push_front(std::move(request));
    }
}

bool Queue::Impl::try_serve(DeviceId id, Request& request) {
    Device& device = devices_[id];
    const std::vector<Span> spans =
        request.by_lane ? device.log.pick(request.lane, request.most) : device.log.pick(request.spans);
    if (const std::optional<std::uint64_t> absent = device.log.first_absent(spans)) {
        std::uint64_t count = 0;
        for (const Span& s : spans)
            count += s.last > *absent ? s.last - std::max(s.first, *absent) : 0;
        load(id, *absent, count);
        return false;
    }
    Batch batch;
    batch.device = id;
    batch.lane = !spans.empty() && spans.front().first >= device.log.live_from() ? Lane::live : Lane::backlog;
    if (request.by_lane)
        batch.lane = request.lane;
    std::size_t count = 0;
    for (const Span& s : spans)
        count += static_cast<std::size_t>(s.size());
    batch.readings.reserve(count);
    batch.sequence.reserve(count);
    const std::vector<Span> unreadable = device.log.start_flight(spans, batch);
    for (const Span& s : unreadable)
        log::error("queue: {} readings of device {} cannot be decoded and are lost",
                   drop(id, s, DropReason::damaged), catalogue_.devices()[id]);
    finish_batch(batch);
    request.handler(std::move(batch));
    return true;
}

/// Gives readings of unsynchronised boots their wall time.
void Queue::Impl::finish_batch(Batch& batch) {
    const DeviceLog& log = devices_[batch.device].log;
    for (std::size_t i = 0; i < batch.readings.size(); ++i) {
        Stamp& stamp = batch.readings[i].stamp;
        if (stamp.clock == Stamp::Clock::wall)
            continue;
        const std::uint32_t number = log.boot_of(batch.sequence[i]);
        const auto boot = std::find_if(boots_.begin(), boots_.end(),
                                       [number](const Boot& b) { return b.number == number; });
        stamp = {stamp.ms + (boot == boots_.end() ? 0 : boot->offset_ms), Stamp::Clock::wall};
    }
}

void Queue::Impl::load(DeviceId id, std::uint64_t from, std::uint64_t count) {
    Device& device = devices_[id];
    device.is_loading = true;
    archive_->read(id, from, count, [this, id, from](std::optional<std::vector<Block>> blocks) {
        after_load(id, from, std::move(blocks));
    });
}

void Queue::Impl::after_load(DeviceId id, std::uint64_t from, std::optional<std::vector<Block>> blocks) {
    Device& device = devices_[id];
    device.is_loading = false;
    if (!blocks) {
        set_alarm("flash", "Flash cannot be read; the backlog waits");
        flash_changed_ = true; // so that the next commit tries it, and mends what is damaged
        // Flash cannot be read now: whoever asked gets nothing and asks again.
        std::deque<Request> requests;
        requests.swap(device.requests);
        for (Request& r : requests) {
            Batch nothing;
            nothing.device = id;
            nothing.lane = r.lane;
            r.handler(std::move(nothing));
        }
        return;
    }
    std::uint64_t there = device.log.next(); // lowest number that is there, from `from` on
    for (Block& b : *blocks)
        if (b.last() > from)
            there = std::min(there, std::max(from, b.first));
    for (const Chunk& c : device.log.chunks())
        if (c.block.last() > from)
            there = std::min(there, std::max(from, c.block.first));
    if (there > from) {
        const std::uint64_t lost = drop(id, {from, there}, DropReason::damaged);
        if (lost > 0)
            log::error("queue: {} readings of device {} could not be read back from flash and are lost", lost,
                       catalogue_.devices()[id]);
    }
    for (Block& b : *blocks) {
        const std::int64_t before = device.log.memory();
        if (!device.log.insert(std::move(b), true, 0))
            continue;
        memory_ += device.log.memory() - before;
        clean_bytes_ += device.log.memory() - before;
    }
    serve(id);
    evict();
}

void Queue::Impl::settle(const Batch& batch, std::size_t from, std::size_t count, Fate fate,
                         const std::string& reason) {
    Device& device = devices_[batch.device];
    const std::size_t stop = std::min(from + count, batch.sequence.size());
    std::vector<Span> ended;
    for (std::size_t i = from; i < stop;) {
        Span span{batch.sequence[i], batch.sequence[i] + 1};
        for (++i; i < stop && batch.sequence[i] == span.last; ++i)
            ++span.last;
        ended.push_back(span);
    }
    if (fate == Fate::dead) {
        for (std::size_t i = from; i < stop; ++i)
            bury(batch, i, reason);
        return;
    }
    if (fate == Fate::accepted)
        add_hot_appends(batch.device); // before chunks go: a settlement of unknown numbers says nothing
    for (const Span& span : ended) {
        if (fate == Fate::accepted)
            note_change(batch.device, span);
        assert(device.log.is_in_flight(span));
        const std::int64_t before = device.log.memory();
        const std::uint64_t n = device.log.end_flight(span, fate == Fate::accepted);
        memory_ += device.log.memory() - before;
        if (fate == Fate::accepted)
            books_.accepted += n;
    }
    if (fate == Fate::accepted)
        write_ended(batch.device, 0, ended);
}

std::uint64_t Queue::Impl::drop(DeviceId id, Span span, DropReason reason) {
    Device& device = devices_[id];
    note_change(id, span);
    add_hot_appends(id);
    const std::int64_t before = device.log.memory();
    const std::vector<Span> parts = device.log.droppable(span);
    const std::uint64_t count = device.log.drop(span);
    memory_ += device.log.memory() - before;
    books_.drop(reason, count);
    if (count > 0)
        write_ended(id, static_cast<std::uint8_t>(1 + static_cast<std::uint8_t>(reason)), parts);
    return count;
}

/// Remembers how much of what is on flash changes with this span.
void Queue::Impl::note_change(DeviceId id, Span span) {
    any_change_ = true;
    const std::uint64_t safe_to = devices_[id].log.safe_to();
    if (span.first >= safe_to)
        return;
    if (flash_settled_ == 0)
        settled_since_ms_ = clock_.boot_ms();
    flash_settled_ += std::min(span.last, safe_to) - span.first;
}

void Queue::Impl::write_ended(DeviceId id, std::uint8_t how, const std::vector<Span>& spans) {
    if (hot_->is_broken())
        return;
    std::string payload;
    put_varint(payload, id);
    payload.push_back(static_cast<char>(how));
    put_varint(payload, spans.size());
    for (const Span& s : spans) {
        put_varint(payload, s.first);
        put_varint(payload, s.size());
    }
    hot_->add(HotLog::Kind::ended, payload);
    if (!hot_->flush())
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
}

} // namespace things
