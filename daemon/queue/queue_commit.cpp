// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

// From memory to flash.
namespace things {

namespace {

constexpr std::int64_t broken_hot_interval_ms = 1000;
constexpr std::uint64_t many_settled = 5000;        // so many readings on flash do not wait for the interval,
constexpr std::int64_t many_settled_ms = 1000;      // but this long
constexpr std::int64_t quiet_interval_ms = 600'000; // the books alone are written this often
constexpr std::size_t most_segments = 64;
constexpr std::int64_t most_segment_bytes = std::int64_t{256} * 1024;

} // namespace

QueueState Queue::Impl::snapshot(std::uint64_t hot_number) const {
    QueueState s;
    s.queue_id = queue_id_;
    s.hot_number = hot_number;
    s.books = books_;
    s.saved_wall_ms = saved_wall_ms_;
    s.retrace = trust_->retrace();
    s.next_segment = next_segment_;
    s.next_dead = next_dead_;
    s.next_command = next_command_;
    s.boots = boots_;
    s.identity = identity_;
    s.machine = machine_;
    s.moved_ms = moved_ms_;
    s.adopted = adopted_;
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        const Device& d = devices_[id];
        if (d.log.next() > 0)
            s.devices.push_back({id, d.log.next(), d.blocks, d.log.outstanding_spans(), d.log.held()});
    }
    return s;
}

/// What a commit of settlements alone says: nothing of readings that are not on flash.
QueueState Queue::Impl::stored_snapshot(std::uint64_t hot_number) const {
    QueueState s = snapshot(hot_number);
    for (DeviceState& d : s.devices) {
        const DeviceLog& log = devices_[d.device].log;
        const std::uint64_t end = std::min(log.safe_to(), d.next);
        s.books.read -= log.outstanding_in({end, d.next});
        d.next = end;
        std::erase_if(d.outstanding, [end](const Span& span) { return span.first >= end; });
        std::erase_if(d.held, [end](const HeldSpan& held) { return held.span.first >= end; });
        for (Span& span : d.outstanding)
            span.last = std::min(span.last, end);
        for (HeldSpan& held : d.held)
            held.span.last = std::min(held.span.last, end);
    }
    std::erase_if(s.devices, [](const DeviceState& d) { return d.next == 0; });
    return s;
}

std::int64_t Queue::Impl::commit_interval_ms() const {
    const std::int64_t interval = options_.config.commit_interval.count();
    return hot_->is_broken() ? std::min(interval, broken_hot_interval_ms) : interval;
}

bool Queue::Impl::is_commit_due() const {
    return clock_.boot_ms() - last_commit_ms_ >= commit_interval_ms();
}

std::vector<std::uint64_t> Queue::Impl::finished_segments() const {
    std::vector<std::uint64_t> out;
    for (const Segment& segment : segments_)
        if (std::none_of(segment.spans.begin(), segment.spans.end(), [this](const auto& part) {
                return devices_[part.first].log.outstanding_in(part.second) > 0;
            }))
            out.push_back(segment.id);
    return out;
}

/// Whether flash should be told that readings on it were settled, and only that. The hot log knows it, and a
/// power cut would only send them again: so they wait for a commit of readings, but not much longer than that
/// would have to come, and not at all when they are many.
bool Queue::Impl::is_settling_due() const {
    if (flash_settled_ == 0 || is_adopted_unsafe_ || hot_->is_broken() || !delete_blocks_.empty())
        return false;
    const std::int64_t waited_ms = clock_.boot_ms() - settled_since_ms_;
    return waited_ms >= commit_interval_ms() * 5 / 4 ||
           (flash_settled_ >= many_settled && waited_ms >= many_settled_ms);
}

/// Whether flash would be told something that a crash must not undo. Readings that are younger than the
/// interval are most often accepted before they reach it, and then never touch flash.
bool Queue::Impl::has_work() const {
    if (flash_changed_ || (flash_settled_ > 0 && hot_->is_broken()) || alarms_.contains("flash") ||
        !unsaved_dead_.empty() || !unsaved_dead_gone_.empty() || !unsaved_commands_.empty() ||
        !delete_blocks_.empty())
        return true;
    const std::int64_t too_old_ms = clock_.boot_ms() - commit_interval_ms();
    for (const Device& d : devices_)
        if (const auto since = d.log.unsafe_since_ms(); since && *since <= too_old_ms)
            return true;
    return any_change_ && clock_.boot_ms() - last_commit_ms_ >= quiet_interval_ms;
}

std::int64_t Queue::Impl::unstored_bytes() const {
    std::int64_t sum = 0;
    for (const Device& d : devices_)
        for (auto at = d.log.chunks().rbegin(); at != d.log.chunks().rend() && !at->is_stored(); ++at)
            sum += at->size();
    return sum;
}

void Queue::Impl::commit(std::function<void(bool)> handler) {
    waiters_.push_back(std::move(handler));
    start_commit();
}

void Queue::Impl::start_commit(Scope scope) {
    if (is_committing_) {
        wants_commit_ = wants_commit_ || scope == Scope::all;
        return;
    }
    if (is_cut_off_) {
        // As if it had failed, but not from inside the call.
        boost::asio::post(loop_, [waiters = std::exchange(waiters_, {})] {
            for (const std::function<void(bool)>& waiter : waiters)
                waiter(false);
        });
        return;
    }
    is_committing_ = true;
    wants_commit_ = false;
    served_waiters_ = std::exchange(waiters_, {});
    if (scope == Scope::all)
        last_commit_ms_ = clock_.boot_ms();
    archive_->commit(build_request(scope), [this](const CommitResult& result) { after_commit(result); });
}

CommitRequest Queue::Impl::build_request(Scope scope) {
    if (const std::optional<std::int64_t> anchor = trust_->anchor()) {
        saved_wall_ms_ = clock_.boot_ms() + *anchor; // back too: the clock may have been ahead
        trust_->remember(saved_wall_ms_ - 1000);
        if (!std::exchange(is_move_dated_, true))
            moved_ms_ = saved_wall_ms_;
    }
    CommitRequest request;
    progress_ = {};
    if (scope == Scope::settlements) {
        flush_hot();
        rotate_hot();
        if (!repeat_in_hot())
            scope = Scope::all; // what flash is not given must be somewhere
    }
    if (scope == Scope::all) {
        apply_limits(request);
        flush_hot();
        add_readings(request);
        rotate_hot();
    }
    progress_.hot_number = hot_->number();
    if (scope == Scope::all)
        progress_.is_adopted_unsafe = std::exchange(is_adopted_unsafe_, false);
    request.state =
        encode(scope == Scope::all ? snapshot(progress_.hot_number) : stored_snapshot(progress_.hot_number));
    for (const Device& d : devices_)
        progress_.next.push_back(scope == Scope::all ? d.log.next() : d.log.safe_to());
    progress_.delete_segments = finished_segments();
    request.delete_segments = progress_.delete_segments;
    if (progress_.is_fold) {
        for (const Segment& s : segments_)
            request.delete_segments.push_back(s.id);
        // One more may be there from a commit whose success was not seen.
        request.delete_segments.push_back(next_segment_);
    }
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        Device& d = devices_[id];
        const std::uint64_t base = std::min(d.log.base(), d.blocks.last);
        if (d.blocks.size() > 0 && base > d.trimmed_to)
            progress_.trims.emplace_back(id, base);
    }
    request.trims = progress_.trims;
    add_records(request);
    progress_.flash_changed = std::exchange(flash_changed_, false);
    progress_.flash_settled = std::exchange(flash_settled_, 0);
    progress_.any_change = std::exchange(any_change_, false);
    request.size_limit = file_limit();
    request.list_oldest = options_.config.max_age.count() > 0;
    return request;
}

/// What is kept beside the readings: new series, dead letters, commands.
void Queue::Impl::add_records(CommitRequest& request) {
    progress_.devices = catalogue_.devices().size();
    progress_.series = catalogue_.all_series().size();
    if (progress_.devices > saved_devices_ || progress_.series > saved_series_) {
        request.catalogue = catalogue_.encode_from(saved_devices_, saved_series_);
        request.catalogue_device = saved_devices_;
        request.catalogue_series = saved_series_;
    }
    progress_.dead = std::exchange(unsaved_dead_, {});
    for (const std::uint64_t id : progress_.dead)
        if (const auto at = dead_.find(id); at != dead_.end())
            request.dead.push_back(at->second);
    progress_.dead_gone = std::exchange(unsaved_dead_gone_, {});
    request.delete_dead.assign(progress_.dead_gone.begin(), progress_.dead_gone.end());
    progress_.commands = std::exchange(unsaved_commands_, {});
    for (const std::uint64_t id : progress_.commands)
        if (const auto at = commands_.find(id); at != commands_.end())
            request.commands.push_back(at->second);
    request.audit_bytes = options_.config.max_size / 10;
    if (!request.commands.empty() && trust_->anchor())
        request.audit_before_ms = saved_wall_ms_ - options_.config.audit_age.count();
}

/// The readings that are not on flash yet, as a segment, or with all segments folded into blocks.
void Queue::Impl::add_readings(CommitRequest& request) {
    std::int64_t size = unstored_bytes();
    for (const Segment& s : segments_)
        size += s.size;
    progress_.is_fold = segments_.size() >= most_segments ||
                        size > std::min(most_segment_bytes, options_.config.max_size / 16);
    progress_.segment.id = next_segment_;
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        DeviceLog& log = devices_[id].log;
        log.seal();
        for (Chunk& chunk : log.chunks()) {
            if (chunk.is_clean || (chunk.segment != 0 && !progress_.is_fold))
                continue;
            const Span span{chunk.block.first, chunk.block.last()};
            chunk.is_committing = true;
            if (progress_.is_fold) {
                request.fold.push_back({id, chunk.block, log.outstanding_spans_in(span)});
                Span& blocks = devices_[id].blocks;
                blocks = hull(blocks, span);
            } else if (chunk.left == chunk.block.count) {
                put_frame(request.segment, id, chunk.block);
            } else {
                for (const Span& part : log.outstanding_spans_in(span))
                    put_frame(request.segment, id, cut(chunk.block, part));
            }
            progress_.segment.spans.emplace_back(id, span);
        }
    }
    request.segment_id = progress_.segment.id;
    progress_.segment.size = static_cast<std::int64_t>(request.segment.size());
}

} // namespace things
