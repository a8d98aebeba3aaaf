// SPDX-License-Identifier: Apache-2.0
#include "queue/chunks.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr std::uint32_t most_readings = 256;
constexpr std::size_t most_bytes = 4096;

std::int64_t cost(const Chunk& chunk) {
    return static_cast<std::int64_t>(chunk.block.bytes.capacity() + sizeof(Chunk));
}

/// The first chunk that ends behind a number.
template <typename Deque>
auto chunk_of(Deque& chunks, std::uint64_t number) {
    return std::upper_bound(chunks.begin(), chunks.end(), number,
                            [](std::uint64_t n, const Chunk& c) { return n < c.block.last(); });
}

} // namespace

Chunk& Chunks::writable(std::uint64_t number, std::uint32_t boot) {
    if (!chunks_.empty()) {
        Chunk& last = chunks_.back();
        if (last.is_open && last.block.boot == boot && last.block.last() == number &&
            last.block.count < most_readings && last.block.bytes.size() < most_bytes)
            return last;
        seal();
    }
    Chunk& fresh = chunks_.emplace_back();
    fresh.block.first = number;
    fresh.block.boot = boot;
    memory_ += cost(fresh);
    return fresh;
}

void Chunks::append(std::uint64_t number, const Reading& reading, std::uint32_t boot) {
    Chunk& chunk = writable(number, boot);
    const std::int64_t before = cost(chunk);
    things::append(chunk.block, chunk.end, reading);
    memory_ += cost(chunk) - before;
    ++chunk.left;
}

void Chunks::seal() {
    if (chunks_.empty() || !chunks_.back().is_open)
        return;
    Chunk& chunk = chunks_.back();
    const std::int64_t before = cost(chunk);
    chunk.is_open = false;
    chunk.block.bytes.shrink_to_fit();
    memory_ += cost(chunk) - before;
}

const Chunk* Chunks::find(std::uint64_t number) const {
    if (!chunks_.empty() && chunks_.front().block.first <= number && number < chunks_.front().block.last())
        return &chunks_.front();
    const auto at = chunk_of(chunks_, number);
    return at == chunks_.end() || at->block.first > number ? nullptr : &*at;
}

Chunk* Chunks::find(std::uint64_t number) {
    return const_cast<Chunk*>(std::as_const(*this).find(number));
}

bool Chunks::insert(Block block, bool is_clean, std::uint64_t segment,
                    const std::function<std::uint64_t(Span)>& outstanding) {
    SpanSet gaps;
    gaps.add({block.first, block.last()});
    for (auto at = chunk_of(chunks_, block.first); at != chunks_.end() && at->block.first < block.last();
         ++at)
        gaps.remove({at->block.first, at->block.last()});
    bool is_taken = false;
    for (const Span& gap : std::vector<Span>(gaps.spans())) {
        const auto left = static_cast<std::uint32_t>(outstanding(gap));
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
        memory_ += cost(chunk);
        chunks_.insert(chunk_of(chunks_, gap.first), std::move(chunk));
        is_taken = true;
    }
    return is_taken;
}

void Chunks::settle(Span span) {
    std::uint64_t number = span.first;
    while (number < span.last) {
        const auto at = chunk_of(chunks_, number);
        if (at == chunks_.end() || at->block.first >= span.last)
            return;
        number = std::max(number, at->block.first);
        const std::uint64_t stop = std::min(span.last, at->block.last());
        at->left -= static_cast<std::uint32_t>(stop - number);
        number = stop;
        if (at->left == 0) {
            memory_ -= cost(*at);
            chunks_.erase(at);
        }
    }
}

void Chunks::evict(Span span) {
    auto at = chunk_of(chunks_, span.first);
    while (at != chunks_.end() && at->block.last() <= span.last) {
        if (at->is_clean && at->block.first >= span.first) {
            memory_ -= cost(*at);
            at = chunks_.erase(at);
        } else {
            ++at;
        }
    }
}

} // namespace things
