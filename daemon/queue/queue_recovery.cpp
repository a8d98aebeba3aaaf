// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "queue/hot/hot_replay.hpp"

#include <algorithm>
#include <random>

// What the queue finds at start, and what it makes of stamps without a wall time.
namespace things {

void Queue::Impl::recover(ArchiveContent content) {
    HotReplay replay(content.state, std::move(content.catalogue), std::move(content.dead));
    saved_devices_ = content.state ? replay.catalogue.devices().size() : 0;
    saved_series_ = content.state ? replay.catalogue.all_series().size() : 0;
    const bool has_foreign = !replay.run(options_.config.hot_path);
    HotReplay foreign(std::nullopt, {}, {});
    if (has_foreign)
        foreign.run(options_.config.hot_path, replay.state.queue_id);
    queue_id_ = replay.state.queue_id;
    if (queue_id_ == 0) {
        std::random_device random;
        queue_id_ = (std::uint64_t{random()} << 32 | random()) | 1;
    }
    identity_ = replay.state.known_as() != 0 ? replay.state.known_as() : queue_id_;
    machine_ = std::move(replay.state.machine);
    moved_ms_ = replay.state.moved_ms;
    adopted_ = std::move(replay.state.adopted);
    archive_->belongs_to(queue_id_);
    if (!replay.refused.empty())
        tell_for_a_day("refused", "Readings in the hot log were not taken in: " + replay.refused);
    catalogue_ = std::move(replay.catalogue);
    last_stamps_.resize(catalogue_.all_series().size());
    books_ = replay.state.books;
    saved_wall_ms_ = replay.state.saved_wall_ms;
    next_segment_ = replay.state.next_segment;
    next_dead_ = replay.state.next_dead;
    next_command_ = replay.state.next_command;
    boots_ = std::move(replay.state.boots);
    restore_devices(replay, content);
    dead_ = std::move(replay.dead);
    books_.dead = dead_.size();
    for (const auto& [id, letter] : dead_)
        unsaved_dead_.insert(id);
    for (const std::uint64_t id : replay.dead_gone)
        unsaved_dead_gone_.insert(id);
    for (Command& c : content.commands) {
        next_command_ = std::max(next_command_, c.id + 1);
        const std::uint64_t id = c.id;
        commands_.emplace(id, std::move(c));
    }
    for (Command& c : replay.commands) {
        next_command_ = std::max(next_command_, c.id + 1);
        const std::uint64_t id = c.id;
        if (commands_.emplace(id, std::move(c)).second)
            unsaved_commands_.insert(id);
    }
    std::uint64_t hot_number = replay.state.hot_number;
    for (const std::uint64_t n : HotLog::files(options_.config.hot_path)) {
        hot_files_.push_back({n, {}});
        for (const Device& d : devices_)
            hot_files_.back().next.push_back(d.log.next());
        hot_number = std::max(hot_number, n);
    }
    trust_->remember(saved_wall_ms_);
    trust_->restore(replay.state.retrace);
    enter_boot();
    recognise_machine();
    hot_ = std::make_unique<HotLog>(options_.config.hot_path);
    begin_hot(hot_number + 1);
    if (has_foreign)
        import_tail(foreign);
}

/// Takes over the readings of another queue's hot log: of a run whose flash could not be opened, say.
void Queue::Impl::import_tail(HotReplay& tail) {
    std::uint64_t count = 0;
    for (auto& [id, device] : tail.devices)
        for (const Block& block : device.found) {
            const auto boot = std::find_if(tail.state.boots.begin(), tail.state.boots.end(),
                                           [&block](const Boot& b) { return b.number == block.boot; });
            BlockPosition at;
            Reading r;
            for (std::uint64_t n = block.first; read_next(block, at, r); ++n) {
                if (device.outstanding.remove({n, n + 1}) == 0 ||
                    r.series >= tail.catalogue.all_series().size())
                    continue;
                const Series& s = tail.catalogue.all_series()[r.series];
                r.series = add_series(add_device(tail.catalogue.devices()[s.device]), s.name, s.unit);
                const bool is_this_boot = boot != tail.state.boots.end() && boot->id == boots_.back().id;
                if (block.boot != 0 && boot != tail.state.boots.end() && !is_this_boot)
                    r.stamp = {r.stamp.ms + boot->offset_ms, Stamp::Clock::wall};
                append(r, false);
                ++count;
            }
        }
    flush_hot();
    log::info("queue: {} readings of a run without flash were taken over", count);
}

/// The database could not be opened at start, but now: joins what is in it.
void Queue::Impl::adopt(ArchiveContent content) {
    if (content.state && content.state->queue_id != queue_id_) {
        is_cut_off_ = true;
        set_alarm("restart", "Flash is back and holds readings from before: they are sent after a restart");
        return;
    }
    insert_segments(content);
    for (const DeviceState& d : content.state ? content.state->devices : std::vector<DeviceState>())
        if (d.device < devices_.size())
            devices_[d.device].log.set_safe_to(d.next);
    saved_devices_ = content.catalogue.devices().size();
    saved_series_ = content.catalogue.all_series().size();
    for (DeviceId id = 0; id < devices_.size(); ++id)
        drop_missing(id);
}

void Queue::Impl::restore_devices(HotReplay& replay, const ArchiveContent& content) {
    for (DeviceId id = 0; id < catalogue_.devices().size(); ++id)
        devices_.emplace_back().log.set_live_limit(options_.live_limit);
    for (auto& [id, found] : replay.devices) {
        if (id >= devices_.size())
            continue;
        devices_[id].log.restore(found.next, found.outstanding.spans(), found.held);
        devices_[id].blocks = found.blocks;
    }
    for (const DeviceState& d : content.state ? content.state->devices : std::vector<DeviceState>())
        if (d.device < devices_.size()) {
            DeviceLog& log = devices_[d.device].log;
            log.set_safe_to(d.next);
            for (const Span& s : d.outstanding) // what the hot log knows more than flash
                flash_settled_ += s.size() - log.outstanding_in(s);
        }
    settled_since_ms_ = clock_.boot_ms();
    insert_segments(content);
    for (auto& [id, found] : replay.devices) {
        if (id >= devices_.size())
            continue;
        // The last copy of a number is the true one: numbers are given out again after a power cut.
        for (auto block = found.found.rbegin(); block != found.found.rend(); ++block)
            if (is_sound(*block))
                devices_[id].log.insert(std::move(*block), false, 0);
        if (!is_volatile_)
            drop_missing(id);
    }
    for (const Device& d : devices_)
        memory_ += d.log.memory();
}

void Queue::Impl::insert_segments(const ArchiveContent& content) {
    for (const auto& [number, frames] : content.segments) {
        Segment& segment = segments_.emplace_back();
        segment.id = number;
        next_segment_ = std::max(next_segment_, number + 1);
        for (const Frame& frame : frames) {
            if (frame.device >= devices_.size())
                continue;
            const Span span{frame.block.first, frame.block.last()};
            if (!devices_[frame.device].log.insert(frame.block, false, number))
                continue;
            segment.size += static_cast<std::int64_t>(frame.block.bytes.size());
            segment.spans.emplace_back(frame.device, span);
        }
    }
}

/// Readings that the state counts as outstanding, but that are neither in memory nor possibly in a block.
void Queue::Impl::drop_missing(DeviceId id) {
    Device& device = devices_[id];
    SpanSet missing;
    for (const Span& s : device.log.outstanding_spans())
        missing.add(s);
    for (const Chunk& chunk : device.log.chunks())
        missing.remove({chunk.block.first, chunk.block.last()});
    missing.remove(device.blocks);
    std::uint64_t lost = 0;
    for (const Span& s : missing.spans()) {
        const std::uint64_t n = device.log.drop(s);
        books_.drop(DropReason::damaged, n);
        lost += n;
    }
    if (lost > 0)
        log::error("queue: {} readings of device {} are lost: they were counted, but are not there", lost,
                   catalogue_.devices()[id]);
}

/// Finds the present boot among the known ones, or begins it; decides about those that never got a clock.
void Queue::Impl::enter_boot() {
    const std::string id = clock_.boot_id();
    const std::int64_t boot_ms = clock_.boot_ms();
    const auto known =
        std::find_if(boots_.begin(), boots_.end(), [&id](const Boot& b) { return b.id == id; });
    if (known != boots_.end()) {
        std::rotate(known, known + 1, boots_.end());
        if (boots_.back().clock == Boot::Clock::anchored)
            trust_->restore(boots_.back().offset_ms);
    } else {
        Boot fresh;
        for (const Boot& b : boots_)
            fresh.number = std::max(fresh.number, b.number);
        ++fresh.number;
        fresh.id = id;
        fresh.offset_ms = std::max(saved_wall_ms_, trust_->floor_ms()) - boot_ms;
        boots_.push_back(fresh);
    }
    boot_ = boots_.back().number;
    for (std::size_t i = 0; i + 1 < boots_.size(); ++i) {
        Boot& old = boots_[i];
        if (old.clock != Boot::Clock::unknown)
            continue;
        if (options_.time.unsynced == Unsynced::send_estimate)
            resolve_boot(old, Boot::Clock::estimated);
        if (options_.time.unsynced == Unsynced::drop)
            drop_boot(old);
    }
    // Old boots matter as long as any of their readings is around.
    const bool is_empty = books_.queued() == 0;
    std::erase_if(boots_, [&](const Boot& b) { return b.number != boot_ && (is_empty || !b.is_used); });
}

void Queue::Impl::drop_boot(const Boot& boot) {
    std::uint64_t count = 0;
    for (Device& device : devices_)
        for (const HeldSpan& h : std::vector<HeldSpan>(device.log.held()))
            if (h.boot == boot.number) {
                const std::int64_t before = device.log.memory();
                count += device.log.drop_held(h);
                memory_ += device.log.memory() - before;
            }
    if (count == 0)
        return;
    books_.drop(DropReason::unsynced, count);
    flash_changed_ = true;
    log::warning("queue: {} readings of a boot that never got a clock were dropped (time.unsynced: drop)",
                 count);
}

/// A boot's readings get their wall time: from the clock that got right, or by estimate.
void Queue::Impl::resolve_boot(Boot& boot, Boot::Clock how) {
    boot.clock = how;
    std::uint64_t count = 0;
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        const std::uint64_t released = devices_[id].log.release(boot.number);
        count += released;
        if (released > 0 && on_available_)
            on_available_(id);
    }
    if (count == 0)
        return;
    any_change_ = true;
    flash_changed_ = true;
    if (how == Boot::Clock::estimated) {
        books_.estimated += count;
        log::warning("queue: {} readings of a boot that never got a clock are sent with an estimated time "
                     "(time.unsynced: send_estimate)",
                     count);
    } else {
        log::info("queue: the clock is right now; {} readings got their time", count);
    }
}

void Queue::Impl::on_clock(ClockEvent event) {
    Boot& present = boots_.back();
    if (event == ClockEvent::stepped)
        log::warning("clock: stepped by {} ms; new readings follow the new time", trust_->last_step_ms());
    if (event == ClockEvent::none)
        return;
    const std::int64_t anchor = *trust_->anchor();
    if (present.clock == Boot::Clock::unknown) {
        present.offset_ms = anchor;
        for (LastStamp& last : last_stamps_)
            if (last.boot == present.number)
                last = {last.ms + anchor, last.run + anchor, 0};
        resolve_boot(present, Boot::Clock::anchored);
    } else if (!present.is_used) {
        present.offset_ms = anchor; // nothing hangs on the old one but the start after a restart
    }
    // The hot log's records do not tell of boots; a fresh file's state does.
    flush_hot();
    rotate_hot();
}

} // namespace things
