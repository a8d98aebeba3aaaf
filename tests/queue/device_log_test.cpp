// SPDX-License-Identifier: Apache-2.0
#include "queue/device_log.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace things;

namespace {

Reading reading(double value) {
    return {0, {1000 + static_cast<std::int64_t>(value), Stamp::Clock::wall}, value};
}

/// Readings of these numbers, each with its number as its value.
Block block_of(Span numbers) {
    Block block;
    BlockPosition end;
    block.first = numbers.first;
    for (std::uint64_t n = numbers.first; n < numbers.last; ++n)
        append(block, end, reading(static_cast<double>(n)));
    return block;
}

} // namespace

TEST_CASE("a block that overlaps what is in memory fills the gaps around it") {
    DeviceLog log;
    log.restore(20, {{0, 20}}, {});
    std::vector<Span> there;
    SUBCASE("in its middle") {
        there = {{8, 11}};
    }
    SUBCASE("at its ends") {
        there = {{3, 6}, {14, 17}};
    }
    SUBCASE("all of it") {
        there = {{0, 20}};
    }
    for (const Span& span : there)
        REQUIRE(log.insert(block_of(span), false, 7));
    const bool is_whole = there.front().size() == 20;
    CHECK(log.insert(block_of({5, 15}), true, 0) == !is_whole);
    CHECK_FALSE(log.first_absent({{5, 15}}).has_value());
    Batch batch;
    CHECK(log.start_flight({{5, 15}}, batch).empty());
    REQUIRE(batch.readings.size() == 10);
    for (std::size_t i = 0; i < 10; ++i)
        CHECK(std::get<double>(batch.readings[i].value) == static_cast<double>(i + 5));
    for (const Chunk& chunk : log.chunks())
        CHECK(chunk.is_clean == (chunk.segment == 0));
}

TEST_CASE("what cannot be decoded is told, not sent and not followed into nothing") {
    DeviceLog log;
    for (int i = 0; i < 6; ++i)
        log.append(reading(i), 0, 0, false);
    log.seal();
    Batch batch;
    SUBCASE("bytes that make no sense from the third reading on") {
        BlockPosition at;
        Block& block = log.chunks()[0].block;
        REQUIRE((skip_next(block, at) && skip_next(block, at)));
        block.bytes.resize(at.offset);
        CHECK(log.start_flight({{0, 6}}, batch) == std::vector<Span>{{2, 6}});
        CHECK(batch.sequence == std::vector<std::uint64_t>{0, 1});
    }
    SUBCASE("a chunk that is not there") {
        log.chunks().clear();
        CHECK(log.start_flight({{0, 2}}, batch) == std::vector<Span>{{0, 1}, {1, 2}});
        CHECK(batch.sequence.empty());
    }
    CHECK(log.in_flight() == batch.sequence.size());
    CHECK(log.outstanding() == 6);
}
