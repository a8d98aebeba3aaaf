// SPDX-License-Identifier: Apache-2.0
#include "queue/device_log.hpp"

#include <algorithm>
#include <utility>

// The half of DeviceLog that is about chunks and state rather than about sending.
namespace things {

namespace {

auto chunk_of(const std::deque<Chunk>& chunks, std::uint64_t number) {
    return std::upper_bound(chunks.begin(), chunks.end(), number,
                            [](std::uint64_t n, const Chunk& c) { return n < c.block.last(); });
}

} // namespace

const Chunk* DeviceLog::find(std::uint64_t number) const {
    if (!chunks_.empty() && chunks_.front().block.first <= number && number < chunks_.front().block.last())
        return &chunks_.front();
    const auto at = chunk_of(chunks_, number);
    return at == chunks_.end() || at->block.first > number ? nullptr : &*at;
}

Chunk* DeviceLog::find(std::uint64_t number) {
    return const_cast<Chunk*>(std::as_const(*this).find(number));
}

std::uint32_t DeviceLog::boot_of(std::uint64_t number) const {
    const Chunk* chunk = find(number);
    return chunk == nullptr ? 0 : chunk->block.boot;
}

std::vector<Span> DeviceLog::droppable(Span span) const {
    SpanSet parts;
    for (const Span& s : available_.within(span))
        parts.add(s);
    for (const Span& s : held_numbers_.within(span))
        parts.add(s);
    return parts.spans();
}

bool DeviceLog::insert(Block block, bool is_clean, std::uint64_t segment) {
    SpanSet gaps;
    gaps.add({block.first, block.last()});
    for (auto at = chunk_of(chunks_, block.first); at != chunks_.end() && at->block.first < block.last();
         ++at)
        gaps.remove({at->block.first, at->block.last()});
    bool is_taken = false;
    for (const Span& gap : std::vector<Span>(gaps.spans())) {
        const auto left = static_cast<std::uint32_t>(outstanding_in(gap));
        if (left == 0)
            continue;
        Chunk chunk;
        chunk.block = gap.size() == block.count ? std::exchange(block, Block()) : cut(block, gap);
        chunk.left = left;
        chunk.is_open = false;
        chunk.is_clean = is_clean;
        chunk.segment = segment;
        chunk.end.index = chunk.hot.index = chunk.block.count; // not appended to, not written again
        chunk.end.offset = chunk.hot.offset = chunk.block.bytes.size();
        memory_ += static_cast<std::int64_t>(chunk.block.bytes.capacity() + sizeof(Chunk));
        chunks_.insert(chunk_of(chunks_, gap.first), std::move(chunk));
        is_taken = true;
    }
    return is_taken;
}

void DeviceLog::evict(Span span) {
    auto at = chunk_of(chunks_, span.first);
    while (at != chunks_.end() && at->block.last() <= span.last) {
        if (at->is_clean && at->block.first >= span.first) {
            memory_ -= static_cast<std::int64_t>(at->block.bytes.capacity() + sizeof(Chunk));
            at = chunks_.erase(at);
        } else {
            ++at;
        }
    }
}

bool DeviceLog::is_touched(Span span) const {
    if (flight_.count(span) > 0 || held_numbers_.count(span) > 0)
        return true;
    // A chunk that reaches over the span's ends would be evicted only in part.
    return std::any_of(chunks_.begin(), chunks_.end(), [&span](const Chunk& c) {
        const bool meets = c.block.first < span.last && c.block.last() > span.first;
        return meets && (!c.is_clean || c.block.first < span.first || c.block.last() > span.last);
    });
}

std::uint64_t DeviceLog::outstanding() const {
    return available_.size() + flight_.size() + held_numbers_.size();
}

std::uint64_t DeviceLog::outstanding_in(Span span) const {
    return available_.count(span) + flight_.count(span) + held_numbers_.count(span);
}

std::vector<Span> DeviceLog::outstanding_spans_in(Span span) const {
    SpanSet parts;
    for (const SpanSet* set : {&available_, &flight_, &held_numbers_})
        for (const Span& s : set->within(span))
            parts.add(s);
    return parts.spans();
}

std::vector<Span> DeviceLog::outstanding_spans() const {
    if (flight_.empty() && held_numbers_.empty())
        return available_.spans();
    SpanSet all = available_;
    for (const Span& s : flight_.spans())
        all.add(s);
    for (const Span& s : held_numbers_.spans())
        all.add(s);
    return all.spans();
}

std::uint64_t DeviceLog::base() const {
    return base_from(0);
}

std::uint64_t DeviceLog::base_from(std::uint64_t from) const {
    std::uint64_t lowest = next_;
    for (const SpanSet* set : {&available_, &flight_, &held_numbers_}) {
        const Span s = set->first_within({from, next_});
        if (s.size() > 0)
            lowest = std::min(lowest, s.first);
    }
    return lowest;
}

void DeviceLog::restore(std::uint64_t next, const std::vector<Span>& outstanding,
                        const std::vector<HeldSpan>& held) {
    next_ = next;
    live_from_ = next;
    held_ = held;
    available_.clear();
    flight_.clear();
    held_numbers_.clear();
    for (const Span& s : outstanding)
        available_.add(s);
    for (const HeldSpan& h : held)
        for (const Span& part : available_.within(h.span)) {
            available_.remove(part);
            held_numbers_.add(part);
        }
}

} // namespace things
