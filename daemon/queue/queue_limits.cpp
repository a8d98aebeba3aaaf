// SPDX-License-Identifier: Apache-2.0
#include "queue/queue_impl.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"

#include <algorithm>

// What goes when there is no room. Blocks on flash are taken off the books here and deleted by the
// transaction that is being built, so that books and flash agree at every moment.
namespace things {

namespace {

constexpr std::int64_t log_reserve = std::int64_t{1024} * 1024; // of max_size, for the write-ahead log

} // namespace

std::int64_t Queue::Impl::file_limit() const {
    const std::int64_t size = options_.config.max_size;
    return size - std::min(log_reserve, size / 4);
}

void Queue::Impl::apply_limits(CommitRequest& request) {
    drop_aged();
    const std::int64_t need = unstored_bytes() * 5 / 4 + 16384;
    const std::int64_t excess = used_ + need - file_limit();
    if (excess > 0 && used_ > 0)
        make_room(excess);
    else
        clear_alarm("full");
    request.delete_blocks.insert(request.delete_blocks.end(), delete_blocks_.begin(), delete_blocks_.end());
}

void Queue::Impl::make_room(std::int64_t excess) {
    set_alarm("full", "The queue has reached queue.max_size; readings are dropped by queue.when_full");
    if (options_.config.when_full == WhenFull::drop_newest) {
        for (DeviceId id = 0; id < devices_.size(); ++id) {
            const DeviceLog& log = devices_[id].log;
            std::vector<Span> fresh;
            for (const Chunk& chunk : log.chunks())
                if (!chunk.is_clean && chunk.segment == 0)
                    fresh.push_back({chunk.block.first, chunk.block.last()});
            for (const Span& s : fresh)
                drop(id, s, DropReason::full);
        }
        return;
    }
    std::int64_t freed = 0;
    std::vector<BlockInfo> rest;
    for (const BlockInfo& info : std::exchange(oldest_, {})) {
        if (freed >= excess) {
            rest.push_back(info);
            continue;
        }
        drop(info.device, info.span, DropReason::full);
        if (devices_[info.device].log.outstanding_in(info.span) > 0)
            continue; // in flight: it ends in a moment
        delete_blocks_.push_back(info.id);
        freed += info.size;
    }
    oldest_ = std::move(rest);
}

void Queue::Impl::drop_aged() {
    const std::int64_t age = options_.config.max_age.count();
    const std::optional<std::int64_t> anchor = trust_->anchor();
    if (age <= 0 || !anchor)
        return;
    const std::int64_t before = clock_.boot_ms() + *anchor - age;
    std::uint64_t count = 0;
    for (const BlockInfo& info : std::exchange(oldest_, {})) {
        if (info.boot != 0 || info.newest >= before) {
            oldest_.push_back(info);
            continue;
        }
        count += drop(info.device, info.span, DropReason::age);
        if (devices_[info.device].log.outstanding_in(info.span) > 0)
            oldest_.push_back(info); // in flight: flash keeps it until the answer is there
        else
            delete_blocks_.push_back(info.id);
    }
    for (DeviceId id = 0; id < devices_.size(); ++id) {
        DeviceLog& log = devices_[id].log;
        std::vector<Span> old;
        for (const Chunk& chunk : log.chunks()) {
            if (chunk.block.boot != 0 || chunk.block.newest >= before)
                break;
            old.push_back({chunk.block.first, chunk.block.last()});
        }
        for (const Span& s : old)
            count += drop(id, s, DropReason::age);
    }
    if (count > 0)
        log::warning("queue: {} readings older than queue.max_age were dropped", count);
}

/// Memory is full because flash refuses: the oldest readings go or, by policy, none.
void Queue::Impl::limit_memory() {
    set_alarm("memory", "Memory for readings is full because flash cannot be written; readings are dropped");
    if (options_.config.when_full == WhenFull::drop_newest)
        return;
    while (memory_ > options_.memory_limit - options_.memory_limit / 16) {
        DeviceId largest = 0;
        for (DeviceId id = 1; id < devices_.size(); ++id)
            if (devices_[id].log.memory() > devices_[largest].log.memory())
                largest = id;
        DeviceLog& log = devices_[largest].log;
        std::uint64_t count = 0;
        for (std::size_t i = 0; count == 0 && i < log.chunks().size(); ++i) {
            const Block& block = log.chunks()[i].block;
            count = drop(largest, {block.first, block.last()}, DropReason::memory);
        }
        if (count == 0)
            return; // all in flight
    }
}

} // namespace things
