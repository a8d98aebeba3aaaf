// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/backlog.hpp"

#include <cstdint>
#include <vector>

// A set of sequence numbers, kept as sorted spans that neither touch nor overlap. Made for sets that consist
// of few spans, grow at the back and shrink at the front. Pure.
namespace things {

/// The smallest span that holds both; one that is empty does not count.
[[nodiscard]] Span hull(Span a, Span b);

/// Questions cost O(log spans), changes in the middle O(spans).
class SpanSet {
public:
    [[nodiscard]] bool empty() const { return spans_.empty(); }
    /// How many numbers; O(1).
    [[nodiscard]] std::uint64_t size() const { return size_; }
    /// The lowest number; the set must not be empty.
    [[nodiscard]] std::uint64_t front() const { return spans_.front().first; }
    [[nodiscard]] const std::vector<Span>& spans() const { return spans_; }
    [[nodiscard]] bool contains(std::uint64_t number) const;
    /// How many numbers of `span` are in the set.
    [[nodiscard]] std::uint64_t count(Span span) const;
    /// The parts of `span` that are in the set.
    [[nodiscard]] std::vector<Span> within(Span span) const;
    /// The first part of the set inside `span`; empty if there is none.
    /// At the lowest number; its size is 0 if there is none.
    [[nodiscard]] Span first_within(Span span) const;

    /// Both return how many numbers were new, or were there.
    std::uint64_t add(Span span);
    std::uint64_t remove(Span span);
    void clear();

private:
    /// Index of the first span that ends after `number`.
    [[nodiscard]] std::size_t find(std::uint64_t number) const;

    std::vector<Span> spans_;
    std::uint64_t size_ = 0;
};

} // namespace things
