// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"
#include "queue/bytes.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

// From memory to the hot log and to flash.
namespace things {

namespace {

constexpr std::int64_t broken_hot_interval_ms = 1000;
constexpr std::uint64_t many_settled = 5000;        // so many readings on flash do not wait for the interval,
constexpr std::int64_t many_settled_ms = 1000;      // but this long
constexpr std::int64_t quiet_interval_ms = 600'000; // the books alone are written this often
constexpr std::size_t most_segments = 64;
constexpr std::int64_t most_segment_bytes = 256 * 1024;
constexpr std::uint64_t hot_file_size = 4U << 20;
constexpr std::uint64_t hot_total_size = 32U << 20;
constexpr std::int64_t damage_told_ms = 86'400'000; // a person should see it, though it mends itself

bool is_stored(const Chunk& chunk) {
    return chunk.is_clean || chunk.segment != 0;
}

std::int64_t size_of(const Chunk& chunk) {
    return static_cast<std::int64_t>(chunk.block.bytes.size()) + 16;
}

} // namespace

// --- Hot log

void Queue::Impl::add_hot_appends(DeviceId id) {
    if (hot_->is_broken())
        return;
    if (hot_devices_ < catalogue_.devices().size() || hot_series_ < catalogue_.all_series().size()) {
        std::string payload;
        put_varint(payload, hot_devices_);
        put_varint(payload, hot_series_);
        payload += catalogue_.encode_from(hot_devices_, hot_series_);
        hot_->add(HotLog::Kind::catalogue, payload);
        hot_devices_ = catalogue_.devices().size();
        hot_series_ = catalogue_.all_series().size();
    }
    std::deque<Chunk>& chunks = devices_[id].log.chunks();
    auto at = chunks.end();
    while (at != chunks.begin() && std::prev(at)->hot.index < std::prev(at)->end.index)
        --at;
    for (; at != chunks.end(); ++at) {
        const Block& block = at->block;
        std::string payload;
        payload.reserve(block.bytes.size() - at->hot.offset + 48);
        put_varint(payload, id);
        put_varint(payload, block.first);
        put_varint(payload, block.boot);
        put_varint(payload, at->hot.index);
        put_varint(payload, block.count);
        put_signed(payload, block.oldest);
        put_signed(payload, block.newest);
        put_text(payload, std::string_view(block.bytes).substr(at->hot.offset));
        hot_->add(HotLog::Kind::appended, payload);
        at->hot = at->end;
    }
}

void Queue::Impl::flush_hot() {
    hot_due_ms_ = 0;
    for (const DeviceId id : std::exchange(dirty_, {})) {
        devices_[id].is_dirty = false;
        add_hot_appends(id);
    }
    if (!hot_->is_broken() && !hot_->flush())
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
    if (hot_->size() > hot_file_size) {
        rotate_hot();
        if (hot_->total_size() > hot_total_size)
            start_commit();
    }
}

void Queue::Impl::rotate_hot() {
    HotFile& old = hot_files_.emplace_back();
    old.number = hot_->number();
    for (Device& device : devices_) {
        device.log.seal();
        old.next.push_back(device.log.next());
    }
    begin_hot(old.number + 1);
    remove_hot_files();
}

bool Queue::Impl::begin_hot(std::uint64_t number) {
    // At the start the files of before are still there.
    const bool was_broken = hot_->is_broken() && hot_->number() != 0;
    hot_devices_ = catalogue_.devices().size();
    hot_series_ = catalogue_.all_series().size();
    if (!hot_->begin(number, encode(snapshot(number)), catalogue_.encode_from(0, 0))) {
        set_alarm("hot", "The hot log cannot be written: " + hot_->problem());
        return false;
    }
    clear_alarm("hot");
    return !was_broken || repeat_in_hot(); // what was appended meanwhile is in no file yet
}

/// Writes all readings that are not on flash into the present file: then it needs none of those before it.
bool Queue::Impl::repeat_in_hot() {
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        for (Chunk& chunk : devices_[id].log.chunks())
            chunk.hot = is_stored(chunk) ? chunk.end : BlockPosition{};
        add_hot_appends(id);
    }
    if (!hot_->flush())
        return false;
    for (HotFile& file : hot_files_)
        file.next.clear();
    return true;
}

void Queue::Impl::remove_hot_files() {
    if (!unsaved_dead_.empty() || !unsaved_dead_gone_.empty() || !unsaved_commands_.empty() ||
        !progress_.dead.empty() || !progress_.dead_gone.empty() || !progress_.commands.empty())
        return;
    while (!hot_files_.empty()) {
        const HotFile& file = hot_files_.front();
        for (std::size_t id = 0; id < file.next.size(); ++id)
            if (devices_[id].log.base_from(devices_[id].log.safe_to()) < file.next[id])
                return;
        hot_->remove_below(file.number + 1);
        hot_files_.pop_front();
    }
}

// --- Flash

QueueState Queue::Impl::snapshot(std::uint64_t hot_number) const {
    QueueState s;
    s.queue_id = queue_id_;
    s.hot_number = hot_number;
    s.books = books_;
    s.saved_wall_ms = saved_wall_ms_;
    s.next_segment = next_segment_;
    s.next_dead = next_dead_;
    s.next_command = next_command_;
    s.boots = boots_;
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
    if (flash_settled_ == 0 || hot_->is_broken() || !delete_blocks_.empty() || !thins_.empty())
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
        !delete_blocks_.empty() || !thins_.empty())
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
        for (auto at = d.log.chunks().rbegin(); at != d.log.chunks().rend() && !is_stored(*at); ++at)
            sum += size_of(*at);
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
    archive_->commit(build_request(scope), [this](CommitResult result) { after_commit(std::move(result)); });
}

CommitRequest Queue::Impl::build_request(Scope scope) {
    if (const std::optional<std::int64_t> anchor = trust_->anchor()) {
        saved_wall_ms_ = clock_.boot_ms() + *anchor; // back too: the clock may have been ahead
        trust_->remember(saved_wall_ms_ - 1000);
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

void Queue::Impl::after_commit(CommitResult result) {
    is_committing_ = false;
    if (result.ok) {
        ++commits_;
        mark_stored(result);
        if (result.was_gone)
            tell_damage(
                "The queue's file was removed or replaced while in use; a new one was written; see the log");
        remove_hot_files();
        clear_alarm("flash");
        clear_old_alarms();
    } else {
        unsaved_dead_.merge(progress_.dead);
        unsaved_dead_gone_.merge(progress_.dead_gone);
        unsaved_commands_.merge(progress_.commands);
        flash_changed_ = flash_changed_ || progress_.flash_changed;
        flash_settled_ += progress_.flash_settled;
        any_change_ = any_change_ || progress_.any_change;
        for (Device& d : devices_)
            for (Chunk& chunk : d.log.chunks())
                chunk.is_committing = false;
        if (result.was_reset)
            forget_storage();
        else if (result.late)
            adopt(std::move(*result.late));
        else
            set_alarm("flash", "Flash cannot be written, readings are kept in memory: " + result.problem);
    }
    progress_ = {};
    std::vector<std::function<void(bool)>> waiters = std::exchange(served_waiters_, {});
    if (result.was_reset || result.late) {
        is_volatile_ = false;
        waiters_.insert(waiters_.begin(), std::make_move_iterator(waiters.begin()),
                        std::make_move_iterator(waiters.end()));
        waiters.clear();
        wants_commit_ = true;
    }
    if (wants_commit_ || !waiters_.empty())
        start_commit();
    for (const std::function<void(bool)>& waiter : waiters)
        waiter(result.ok);
}

void Queue::Impl::mark_stored(const CommitResult& result) {
    used_ = result.used;
    file_size_ = result.file_size;
    oldest_ = result.oldest;
    delete_blocks_.clear();
    thins_.clear();
    progress_.dead.clear();
    progress_.dead_gone.clear();
    saved_devices_ = progress_.devices;
    saved_series_ = progress_.series;
    const std::vector<std::uint64_t>& gone = progress_.delete_segments;
    std::erase_if(segments_, [&](const Segment& s) {
        return progress_.is_fold || std::find(gone.begin(), gone.end(), s.id) != gone.end();
    });
    for (DeviceId id = 0; id < progress_.next.size(); ++id) {
        DeviceLog& log = devices_[id].log;
        log.set_safe_to(progress_.next[id]);
        for (Chunk& chunk : log.chunks()) {
            if (!std::exchange(chunk.is_committing, false))
                continue;
            chunk.segment = progress_.is_fold ? 0 : progress_.segment.id;
            chunk.is_clean = progress_.is_fold;
            clean_bytes_ += progress_.is_fold ? size_of(chunk) : 0;
        }
    }
    if (!progress_.is_fold && progress_.segment.size > 0) {
        segments_.push_back(std::move(progress_.segment));
        ++next_segment_;
    }
    for (const auto& [id, base] : progress_.trims) {
        Device& d = devices_[id];
        d.trimmed_to = base;
        d.blocks.first = std::max(d.blocks.first, base);
        if (d.blocks.first >= d.blocks.last)
            d.blocks = {};
    }
    evict();
}

/// The database was replaced: everything that is in memory must be written again.
void Queue::Impl::forget_storage() {
    segments_.clear();
    clean_bytes_ = 0;
    saved_devices_ = saved_series_ = 0;
    oldest_.clear();
    delete_blocks_.clear();
    for (const PendingThin& thin : std::exchange(thins_, {}))
        ++devices_[thin.info.device].epoch;
    for (Device& d : devices_) {
        d.log.set_safe_to(0);
        d.trimmed_to = 0;
        for (Chunk& chunk : d.log.chunks()) {
            chunk.segment = 0;
            chunk.is_clean = false;
        }
    }
    for (const auto& [id, letter] : dead_)
        unsaved_dead_.insert(id);
    for (const auto& [id, command] : commands_)
        unsaved_commands_.insert(id);
    tell_damage(was_damaged);
}

void Queue::Impl::tell_damage(const std::string& text) {
    damaged_ms_ = clock_.boot_ms();
    set_alarm("damaged", text);
}

/// Gives up memory for readings that are on flash as blocks, device after device.
void Queue::Impl::evict() {
    if (clean_bytes_ <= options_.cache_limit || devices_.empty())
        return;
    clean_bytes_ = 0;
    for (const Device& d : devices_)
        for (const Chunk& chunk : d.log.chunks())
            clean_bytes_ += chunk.is_clean ? size_of(chunk) : 0;
    for (std::size_t n = 0; n < devices_.size() && clean_bytes_ > options_.cache_limit; ++n) {
        Device& d = devices_[evict_next_++ % devices_.size()];
        if (!d.requests.empty())
            continue; // somebody waits for just these
        for (const Chunk& chunk : d.log.chunks())
            clean_bytes_ -= chunk.is_clean ? size_of(chunk) : 0;
        const std::int64_t before = d.log.memory();
        d.log.evict({0, d.log.next()});
        memory_ += d.log.memory() - before;
    }
}

void Queue::Impl::set_alarm(const std::string& code, const std::string& text) {
    const auto [at, is_new] = alarms_.insert_or_assign(code, text);
    if (is_new)
        log::error("queue: {}", text);
}

/// After a commit that succeeded: what it ended by itself.
void Queue::Impl::clear_old_alarms() {
    clear_alarm("memory"); // comes again should memory not suffice all the same
    if (clock_.boot_ms() - damaged_ms_ >= damage_told_ms)
        clear_alarm("damaged");
}

void Queue::Impl::clear_alarm(const std::string& code) {
    if (alarms_.erase(code) > 0)
        log::info("queue: alarm '{}' is over", code);
}

} // namespace things
