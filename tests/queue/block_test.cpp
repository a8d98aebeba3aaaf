// SPDX-License-Identifier: Apache-2.0
#include "queue/block.hpp"

#include "queue/bytes.hpp"
#include "queue/hot/hot_log.hpp"
#include "queue/span_set.hpp"
#include "queue/state.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

using namespace things;

namespace {

std::vector<Reading> read_all(const Block& block) {
    std::vector<Reading> out;
    BlockPosition at;
    Reading r;
    while (read_next(block, at, r))
        out.push_back(r);
    return out;
}

} // namespace

TEST_CASE("the worked example of the header is what comes out") {
    Block block;
    BlockPosition end;
    append(block, end, {4, {1000, Stamp::Clock::wall}, 21.5});
    append(block, end, {5, {1000, Stamp::Clock::wall}, true});
    CHECK(block.bytes == std::string("\x68\x08\xd0\x0f\xae\x03\x01"));
    CHECK(block.count == 2);
}

TEST_CASE("every value comes back as it went in, bit by bit") {
    const double numbers[] = {0.0,
                              -0.0,
                              1,
                              -1,
                              0.1,
                              -0.1,
                              21.37,
                              1e-8,
                              1e-9,
                              1e300,
                              -1e300,
                              5e-324,
                              0.5,
                              double(21.37F),
                              1.0 / 3,
                              9007199254740991.0,
                              9007199254740993.0,
                              std::numeric_limits<double>::max(),
                              123456.789,
                              1e15,
                              1e16};
    std::vector<Reading> in;
    for (const double d : numbers)
        in.push_back({7, {5, Stamp::Clock::wall}, d});
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
                                 std::numeric_limits<std::int64_t>::max()})
        in.push_back({3, {i, Stamp::Clock::wall}, i});
    in.push_back({std::numeric_limits<SeriesId>::max(), {0, Stamp::Clock::wall}, ~std::uint64_t{0}});
    in.push_back({0, {0, Stamp::Clock::wall}, std::string("text with \0 and \xc3\xa9", 18)});
    in.push_back({0, {1, Stamp::Clock::wall}, std::string()});
    in.push_back({1, {1, Stamp::Clock::wall}, false});
    Block block;
    BlockPosition end;
    for (const Reading& r : in)
        append(block, end, r);
    const std::vector<Reading> out = read_all(block);
    REQUIRE(out.size() == in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
        CHECK(out[i] == in[i]);
        if (const double* d = std::get_if<double>(&in[i].value))
            CHECK(std::signbit(std::get<double>(out[i].value)) == std::signbit(*d));
    }
    CHECK(is_sound(block));
    CHECK(read_all(cut(block, {3, 6})) == std::vector<Reading>(in.begin() + 3, in.begin() + 6));
}

TEST_CASE("noise is never read past its end") {
    std::mt19937_64 random(3);
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes(random() % 40, '\0');
        for (char& c : bytes)
            c = static_cast<char>(random());
        Block block;
        block.bytes = bytes;
        block.count = static_cast<std::uint32_t>(random() % 20);
        (void)read_all(block);
        (void)is_sound(block);
        (void)parse_frames(bytes);
        (void)decode_state(bytes);
        std::size_t good = 0;
        (void)parse_hot(bytes, good);
        CHECK(good <= bytes.size());
    }
}

TEST_CASE("a state comes back whole or not at all") {
    QueueState s;
    s.queue_id = 42;
    s.hot_number = 7;
    s.books.read = 1000;
    s.books.drop(DropReason::age, 3);
    s.boots.push_back({1, "boot", Boot::Clock::anchored, -5, true});
    s.devices.push_back({3, 20, {5, 20}, {{10, 12}, {15, 20}}, {{1, {15, 18}}}});
    const std::string bytes = encode(s);
    const std::optional<QueueState> back = decode_state(bytes);
    REQUIRE(back);
    CHECK(back->books == s.books);
    CHECK(back->boots == s.boots);
    CHECK(back->devices[0].outstanding == s.devices[0].outstanding);
    CHECK(encode(*back) == bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        CHECK_FALSE(decode_state(bytes.substr(0, i)));
        std::string flipped = bytes;
        flipped[i] = static_cast<char>(flipped[i] ^ 4);
        CHECK_FALSE(decode_state(flipped));
    }
}

TEST_CASE("a set of spans behaves like a set") {
    std::mt19937_64 random(5);
    SpanSet spans;
    std::set<std::uint64_t> model;
    for (int i = 0; i < 5'000; ++i) {
        const std::uint64_t first = random() % 200;
        const Span s{first, first + random() % 30};
        std::uint64_t changed = 0;
        if (random() % 2 == 0) {
            for (std::uint64_t n = s.first; n < s.last; ++n)
                changed += model.insert(n).second ? 1 : 0;
            CHECK(spans.add(s) == changed);
        } else {
            for (std::uint64_t n = s.first; n < s.last; ++n)
                changed += model.erase(n);
            CHECK(spans.remove(s) == changed);
        }
        REQUIRE(spans.size() == model.size());
        const std::uint64_t probe = random() % 240;
        CHECK(spans.contains(probe) == (model.count(probe) > 0));
        std::uint64_t within = 0;
        for (std::uint64_t n = s.first; n < s.last; ++n)
            within += model.count(n);
        CHECK(spans.count(s) == within);
        for (std::size_t k = 1; k < spans.spans().size(); ++k)
            REQUIRE(spans.spans()[k - 1].last < spans.spans()[k].first);
    }
}
