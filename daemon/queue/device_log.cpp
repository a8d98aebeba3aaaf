// SPDX-License-Identifier: Apache-2.0
#include "queue/device_log.hpp"

#include <algorithm>

namespace things {

namespace {

constexpr std::uint32_t chunk_readings = 256;
constexpr std::size_t chunk_bytes = 4096;
constexpr std::int64_t mark_every_ms = 50;
constexpr std::uint64_t no_end = ~std::uint64_t{0};

std::int64_t cost(const Chunk& chunk) {
    return static_cast<std::int64_t>(chunk.block.bytes.capacity() + sizeof(Chunk));
}

} // namespace

Chunk& DeviceLog::writable_chunk(std::uint32_t boot) {
    if (!chunks_.empty()) {
        Chunk& last = chunks_.back();
        if (last.is_open && last.block.boot == boot && last.block.last() == next_ &&
            last.block.count < chunk_readings && last.block.bytes.size() < chunk_bytes)
            return last;
        seal();
    }
    Chunk& fresh = chunks_.emplace_back();
    fresh.block.first = next_;
    fresh.block.boot = boot;
    memory_ += cost(fresh);
    return fresh;
}

std::uint64_t DeviceLog::append(const Reading& reading, std::uint32_t boot, std::int64_t boot_ms,
                                bool urgent) {
    Chunk& chunk = writable_chunk(boot);
    const std::int64_t before = cost(chunk);
    things::append(chunk.block, chunk.end, reading);
    memory_ += cost(chunk) - before;
    ++chunk.left;
    const std::uint64_t number = next_++;
    if (boot == 0) {
        available_.add({number, number + 1});
    } else {
        held_numbers_.add({number, number + 1});
        if (!held_.empty() && held_.back().boot == boot && held_.back().span.last == number)
            ++held_.back().span.last;
        else
            held_.push_back({boot, {number, number + 1}});
    }
    mark(boot_ms);
    if (urgent)
        urgent_.push_back(number);
    if (next_ - live_from_ > 2 * live_limit_)
        move_live_boundary();
    return number;
}

void DeviceLog::seal() {
    if (chunks_.empty() || !chunks_.back().is_open)
        return;
    Chunk& chunk = chunks_.back();
    const std::int64_t before = cost(chunk);
    chunk.is_open = false;
    chunk.block.bytes.shrink_to_fit();
    memory_ += cost(chunk) - before;
}

void DeviceLog::mark(std::int64_t boot_ms) {
    if (marks_.empty() || boot_ms - marks_.back().second >= mark_every_ms)
        marks_.emplace_back(next_ - 1, boot_ms);
}

/// Live readings pile up unsent: only the newest stay in the lane, so that they cannot be starved by the
/// rest.
void DeviceLog::move_live_boundary() {
    if (available_.count({live_from_, next_}) <= 2 * live_limit_)
        return;
    set_live_from(next_ - live_limit_);
}

void DeviceLog::end_live() {
    set_live_from(next_);
}

void DeviceLog::set_live_from(std::uint64_t number) {
    live_from_ = number;
    while (marks_.size() > 1 && marks_[1].first <= live_from_)
        marks_.pop_front();
    std::erase_if(urgent_, [this](std::uint64_t n) { return n < live_from_; });
}

/// Boot time of the mark before a number; 0 if there is none.
std::int64_t DeviceLog::appended_ms(std::uint64_t number) const {
    const auto after = std::upper_bound(marks_.begin(), marks_.end(), number,
                                        [](std::uint64_t n, const auto& m) { return n < m.first; });
    return after == marks_.begin() ? 0 : std::prev(after)->second;
}

std::optional<std::int64_t> DeviceLog::unsafe_since_ms() const {
    const std::uint64_t oldest = base_from(safe_to_);
    return oldest == next_ ? std::nullopt : std::optional(appended_ms(oldest));
}

Waiting DeviceLog::waiting() const {
    Waiting w;
    w.live = static_cast<std::size_t>(available_.count({live_from_, no_end}));
    w.backlog = static_cast<std::size_t>(available_.size()) - w.live;
    if (w.live == 0)
        return w;
    w.live_since_ms = appended_ms(available_.first_within({live_from_, no_end}).first);
    w.urgent = std::any_of(urgent_.begin(), urgent_.end(),
                           [this](std::uint64_t n) { return available_.contains(n); });
    return w;
}

std::vector<Span> DeviceLog::pick(Lane lane, std::size_t most) const {
    std::vector<Span> out;
    Span range = lane == Lane::live ? Span{live_from_, no_end} : Span{0, live_from_};
    while (most > 0) {
        Span s = available_.first_within(range);
        if (s.size() == 0)
            break;
        s.last = std::min(s.last, s.first + most);
        most -= static_cast<std::size_t>(s.size());
        range.first = s.last;
        out.push_back(s);
    }
    return out;
}

std::vector<Span> DeviceLog::pick(const std::vector<Span>& spans) const {
    std::vector<Span> out;
    for (const Span& wanted : spans)
        for (const Span& s : available_.within(wanted))
            out.push_back(s);
    return out;
}

std::optional<std::uint64_t> DeviceLog::first_absent(const std::vector<Span>& spans) const {
    for (const Span& s : spans)
        for (std::uint64_t number = s.first; number < s.last;) {
            const Chunk* chunk = find(number);
            if (chunk == nullptr)
                return number;
            number = chunk->block.last();
        }
    return std::nullopt;
}

std::vector<Span> DeviceLog::start_flight(const std::vector<Span>& spans, Batch& batch) {
    std::vector<Span> unreadable;
    for (const Span& s : spans) {
        available_.remove(s);
        flight_.add(s);
        for (std::uint64_t number = s.first; number < s.last;) {
            Chunk* chunk = find(number);
            std::uint64_t stop = number + 1;
            bool good = chunk != nullptr;
            if (good) {
                const std::uint64_t index = number - chunk->block.first;
                if (chunk->cursor.index > index)
                    chunk->cursor = {};
                while (good && chunk->cursor.index < index)
                    good = skip_next(chunk->block, chunk->cursor);
                stop = std::min(s.last, chunk->block.last());
            }
            Reading reading;
            while (good && number < stop) {
                good = read_next(chunk->block, chunk->cursor, reading);
                if (!good)
                    break;
                batch.readings.push_back(reading);
                batch.sequence.push_back(number++);
            }
            // Blocks are checked when they come from outside, so this is a bug or bad memory: the caller
            // counts what is lost by it, and nobody waits for an answer to it.
            if (number < stop) {
                flight_.remove({number, stop});
                available_.add({number, stop});
                unreadable.push_back({number, stop});
            }
            number = stop;
        }
    }
    return unreadable;
}

std::uint64_t DeviceLog::end_flight(Span span, bool settled) {
    const std::uint64_t count = flight_.count(span);
    if (count == 0)
        return 0;
    const std::vector<Span> parts = count == span.size() ? std::vector<Span>{span} : flight_.within(span);
    flight_.remove(span);
    for (const Span& part : parts) {
        if (settled)
            forget(part);
        else
            available_.add(part);
    }
    return count;
}

std::uint64_t DeviceLog::drop(Span span) {
    std::uint64_t count = 0;
    for (const Span& part : available_.within(span)) {
        count += available_.remove(part);
        forget(part);
    }
    for (const Span& part : held_numbers_.within(span)) {
        count += held_numbers_.remove(part);
        forget(part);
    }
    if (held_numbers_.empty())
        held_.clear();
    return count;
}

std::uint64_t DeviceLog::drop_held(const HeldSpan& held) {
    std::uint64_t count = 0;
    for (const Span& part : held_numbers_.within(held.span)) {
        count += held_numbers_.remove(part);
        forget(part);
    }
    std::erase_if(held_, [&held](const HeldSpan& h) { return h.boot == held.boot && h.span == held.span; });
    return count;
}

std::uint64_t DeviceLog::release(std::uint32_t boot) {
    std::uint64_t count = 0;
    for (const HeldSpan& h : held_) {
        if (h.boot != boot)
            continue;
        for (const Span& part : held_numbers_.within(h.span)) {
            count += held_numbers_.remove(part);
            available_.add(part);
        }
    }
    std::erase_if(held_, [boot](const HeldSpan& h) { return h.boot == boot; });
    move_live_boundary();
    return count;
}

/// Numbers of `span` are settled: their chunks need them no longer.
void DeviceLog::forget(Span span) {
    if (!urgent_.empty())
        std::erase_if(urgent_, [&span](std::uint64_t n) { return n >= span.first && n < span.last; });
    while (marks_.size() > 1 && base_from(live_from_) >= marks_[1].first)
        marks_.pop_front();
    std::uint64_t number = span.first;
    while (number < span.last) {
        const auto at = std::upper_bound(chunks_.begin(), chunks_.end(), number,
                                         [](std::uint64_t n, const Chunk& c) { return n < c.block.last(); });
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

} // namespace things
