// SPDX-License-Identifier: Apache-2.0
#include "queue/span_set.hpp"

#include <algorithm>

namespace things {

Span hull(Span a, Span b) {
    if (a.size() == 0 || b.size() == 0)
        return a.size() == 0 ? b : a;
    return {std::min(a.first, b.first), std::max(a.last, b.last)};
}

std::size_t SpanSet::find(std::uint64_t number) const {
    // Most questions are about either end.
    if (spans_.empty() || spans_.front().last > number)
        return 0;
    const auto at = std::upper_bound(spans_.begin(), spans_.end(), number,
                                     [](std::uint64_t n, const Span& s) { return n < s.last; });
    return static_cast<std::size_t>(at - spans_.begin());
}

bool SpanSet::contains(std::uint64_t number) const {
    const std::size_t i = find(number);
    return i < spans_.size() && spans_[i].first <= number;
}

std::uint64_t SpanSet::count(Span span) const {
    std::uint64_t sum = 0;
    for (std::size_t i = find(span.first); i < spans_.size() && spans_[i].first < span.last; ++i)
        sum += std::min(span.last, spans_[i].last) - std::max(span.first, spans_[i].first);
    return sum;
}

std::vector<Span> SpanSet::within(Span span) const {
    std::vector<Span> out;
    for (std::size_t i = find(span.first); i < spans_.size() && spans_[i].first < span.last; ++i)
        out.push_back({std::max(span.first, spans_[i].first), std::min(span.last, spans_[i].last)});
    return out;
}

Span SpanSet::first_within(Span span) const {
    const std::size_t i = find(span.first);
    if (i == spans_.size() || spans_[i].first >= span.last)
        return {};
    return {std::max(span.first, spans_[i].first), std::min(span.last, spans_[i].last)};
}

std::uint64_t SpanSet::add(Span span) {
    if (span.first >= span.last)
        return 0;
    if (!spans_.empty() && spans_.back().last == span.first) {
        spans_.back().last = span.last;
        size_ += span.size();
        return span.size();
    }
    const std::uint64_t fresh = span.size() - count(span);
    // Everything that overlaps or touches becomes one span.
    std::size_t begin = find(span.first);
    if (begin > 0 && spans_[begin - 1].last == span.first)
        --begin;
    std::size_t end = begin;
    for (; end < spans_.size() && spans_[end].first <= span.last; ++end) {
        span.first = std::min(span.first, spans_[end].first);
        span.last = std::max(span.last, spans_[end].last);
    }
    const auto at = spans_.begin() + static_cast<std::ptrdiff_t>(begin);
    if (begin == end) {
        spans_.insert(at, span);
    } else {
        *at = span;
        spans_.erase(at + 1, spans_.begin() + static_cast<std::ptrdiff_t>(end));
    }
    size_ += fresh;
    return fresh;
}

std::uint64_t SpanSet::remove(Span span) {
    std::uint64_t gone = 0;
    std::size_t i = find(span.first);
    while (i < spans_.size() && spans_[i].first < span.last) {
        const Span old = spans_[i];
        const Span cut{std::max(span.first, old.first), std::min(span.last, old.last)};
        if (cut.first >= cut.last)
            break;
        gone += cut.size();
        const auto at = spans_.begin() + static_cast<std::ptrdiff_t>(i);
        if (cut == old) {
            spans_.erase(at);
            continue;
        }
        if (cut.first == old.first) {
            at->first = cut.last;
        } else if (cut.last == old.last) {
            at->last = cut.first;
        } else {
            at->last = cut.first;
            spans_.insert(at + 1, {cut.last, old.last});
        }
        ++i;
    }
    size_ -= gone;
    return gone;
}

void SpanSet::clear() {
    spans_.clear();
    size_ = 0;
}

} // namespace things
