// SPDX-License-Identifier: Apache-2.0
#include "queue/device_log.hpp"

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t mark_every_ms = 50;
constexpr std::uint64_t no_end = ~std::uint64_t{0};

} // namespace

std::uint64_t DeviceLog::append(const Reading& reading, std::uint32_t boot, std::int64_t boot_ms,
                                bool urgent) {
    const std::uint64_t number = next_++;
    chunks_.append(number, reading, boot);
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
            const Chunk* chunk = chunks_.find(number);
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
            Chunk* chunk = chunks_.find(number);
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

void DeviceLog::forget(Span span) {
    if (!urgent_.empty())
        std::erase_if(urgent_, [&span](std::uint64_t n) { return n >= span.first && n < span.last; });
    while (marks_.size() > 1 && base_from(live_from_) >= marks_[1].first)
        marks_.pop_front();
    chunks_.settle(span);
}

std::uint32_t DeviceLog::boot_of(std::uint64_t number) const {
    const Chunk* chunk = chunks_.find(number);
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
    return chunks_.insert(std::move(block), is_clean, segment,
                          [this](Span span) { return outstanding_in(span); });
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
