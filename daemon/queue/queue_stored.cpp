// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

// What follows from a commit that ended.
namespace things {

void Queue::Impl::after_commit(const CommitResult& result) {
    is_committing_ = false;
    if (result.ok) {
        ++commits_;
        mark_stored(result);
        if (result.was_gone)
            tell_for_a_day("replaced",
                           "The queue's file was removed or replaced while in use, and was written anew; "
                           "what stood in its place is taken in if it is a queue; see the log");
        is_aside_due_ = is_aside_due_ || result.was_gone;
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
        is_adopted_unsafe_ = is_adopted_unsafe_ || progress_.is_adopted_unsafe;
        for (Device& d : devices_)
            for (Chunk& chunk : d.log.chunks())
                chunk.is_committing = false;
        if (result.was_reset)
            forget_storage(result.replaced.empty());
        else if (result.late)
            adopt(std::move(*result.late));
        else
            set_alarm("flash", "Flash cannot be written, readings are kept in memory: " + result.problem);
    }
    if (!result.replaced.empty()) {
        tell_for_a_day("replaced", result.replaced);
        is_aside_due_ = true;
    }
    if (!result.refused.empty())
        tell_for_a_day("refused", result.refused);
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
            clean_bytes_ += progress_.is_fold ? chunk.size() : 0;
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
void Queue::Impl::forget_storage(bool was_damage) {
    segments_.clear();
    clean_bytes_ = 0;
    saved_devices_ = saved_series_ = 0;
    oldest_.clear();
    delete_blocks_.clear();
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
    if (was_damage)
        tell_for_a_day("damaged", was_damaged);
}

/// Gives up memory for readings that are on flash as blocks, device after device.
void Queue::Impl::evict() {
    if (clean_bytes_ <= options_.cache_limit || devices_.empty())
        return;
    clean_bytes_ = 0;
    for (const Device& d : devices_)
        for (const Chunk& chunk : d.log.chunks())
            clean_bytes_ += chunk.is_clean ? chunk.size() : 0;
    for (std::size_t n = 0; n < devices_.size() && clean_bytes_ > options_.cache_limit; ++n) {
        Device& d = devices_[evict_next_++ % devices_.size()];
        if (!d.requests.empty())
            continue; // somebody waits for just these
        for (const Chunk& chunk : d.log.chunks())
            clean_bytes_ -= chunk.is_clean ? chunk.size() : 0;
        const std::int64_t before = d.log.memory();
        d.log.evict({0, d.log.next()});
        memory_ += d.log.memory() - before;
    }
}

} // namespace things
