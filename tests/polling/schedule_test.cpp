// SPDX-License-Identifier: Apache-2.0
#include "polling/schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>

namespace things {

namespace {

using Points = std::vector<std::uint32_t>;

/// Runs a schedule against a line on which each point takes `cost_ms`; returns when which point was polled.
std::map<std::uint32_t, std::vector<std::int64_t>> run(Schedule& schedule, std::int64_t from,
                                                       std::int64_t until, std::int64_t cost_ms) {
    std::map<std::uint32_t, std::vector<std::int64_t>> polled;
    std::int64_t now = from;
    while (now < until) {
        const std::int64_t next = schedule.next(now);
        if (next > now) {
            now = next;
            continue;
        }
        const Points points = schedule.take(now);
        REQUIRE(!points.empty());
        for (const std::uint32_t point : points)
            polled[point].push_back(now);
        const auto took = static_cast<std::int64_t>(points.size()) * cost_ms;
        now += took;
        schedule.done(now, took, {});
    }
    return polled;
}

std::vector<std::int64_t> gaps(const std::vector<std::int64_t>& times) {
    std::vector<std::int64_t> result;
    for (std::size_t i = 2; i < times.size(); ++i) // the first reading is off the grid
        result.push_back(times[i] - times[i - 1]);
    return result;
}

} // namespace

TEST_CASE("beats lie on a grid that a restart does not move") {
    const std::uint64_t seed = phase_seed("plc", "boiler");
    for (const std::int64_t start : {std::int64_t{1'000'000}, std::int64_t{1'234'567}}) {
        Schedule schedule({{0, 10'000, seed}}, start);
        const auto polled = run(schedule, start, start + 60'000, 0)[0];
        REQUIRE(polled.size() >= 6);
        CHECK(polled.front() < start + 1000);
        for (std::size_t i = 1; i < polled.size(); ++i)
            CHECK(polled[i] % 10'000 == static_cast<std::int64_t>(seed % 10'000));
        for (const std::int64_t gap : gaps(polled))
            CHECK(gap == 10'000);
        CHECK(polled[1] - polled[0] >= 5'000); // no second reading right after the first
        CHECK(schedule.missed() == 0);
    }
}

TEST_CASE("points of one device stay together, its slower ones join every nth beat") {
    const std::uint64_t seed = phase_seed("plc", "boiler");
    Schedule schedule({{0, 1000, seed}, {0, 10'000, seed}, {0, 1000, seed}}, 5'000'000);
    auto polled = run(schedule, 5'000'000, 5'061'000, 0);
    CHECK(polled[0] == polled[2]);
    for (std::size_t i = 1; i < polled[1].size(); ++i)
        CHECK(std::count(polled[0].begin(), polled[0].end(), polled[1][i]) == 1);
}

TEST_CASE("devices are spread over the interval") {
    std::vector<TimedPoint> points;
    for (std::uint32_t i = 0; i < 1000; ++i)
        points.push_back({i, 60'000, phase_seed("bus", "meter" + std::to_string(i))});
    Schedule schedule(points, 0);
    std::map<std::int64_t, int> by_second;
    for (const auto& [point, times] : run(schedule, 0, 180'000, 0))
        ++by_second[times.back() % 60'000 / 1000];
    CHECK(by_second.size() > 55); // all seconds but a few have something to do
    for (const auto& [second, count] : by_second)
        CHECK(count < 45); // 16.7 on average
}

TEST_CASE("a stall is counted, not caught up") {
    Schedule schedule({{0, 1000, 0}}, 0);
    (void)run(schedule, 0, 5500, 0);
    const std::int64_t stalled_until = 60'500;
    REQUIRE(schedule.take(stalled_until) == Points{0});
    schedule.done(stalled_until, 1, {});
    CHECK(schedule.missed() == 54); // the beats 7 to 60; the one of second 6 was late
    CHECK(schedule.take(stalled_until).empty());
    CHECK(schedule.next(stalled_until) == 61'000);
}

TEST_CASE("points that an interrupted call left over stay due, the others not") {
    Schedule schedule({{0, 1000, 0}, {0, 1000, 0}, {1, 1000, 0}}, 0);
    REQUIRE(schedule.take(0).size() == 3);
    schedule.done(5, 5, {1});
    CHECK(schedule.next(5) == 5);
    CHECK(schedule.take(5) == Points{1});
    schedule.done(6, 1, {});
    CHECK(schedule.next(6) == 1000);
    CHECK(schedule.missed() == 0);
}

TEST_CASE("asked for more than the line can carry, the slow points stretch evenly and the fast ones keep "
          "their beat") {
    // 10 points a second of 10 ms, and 1,000 points each 5 s: 20 a second fit, 210 a second are asked for.
    std::vector<TimedPoint> points;
    for (std::uint32_t i = 0; i < 10; ++i)
        points.push_back({0, 1000, 0});
    for (std::uint32_t i = 0; i < 1000; ++i)
        points.push_back({i + 1, 5000, phase_seed("bus", std::to_string(i))});
    Schedule schedule(points, 0);
    auto polled = run(schedule, 0, 600'000, 10);
    const auto fast = gaps(polled[0]);
    CHECK(std::count_if(fast.begin(), fast.end(), [](std::int64_t gap) { return gap > 2000; }) == 0);
    CHECK(polled[0].size() > 400);
    std::size_t least = std::numeric_limits<std::size_t>::max(), most = 0;
    for (std::uint32_t i = 10; i < points.size(); ++i) {
        least = std::min(least, polled[i].size());
        most = std::max(most, polled[i].size());
    }
    MESSAGE("slow points: " << least << " to " << most << " readings, fast: " << polled[0].size());
    CHECK(least + 3 >= most);
    CHECK(schedule.missed() > 0);
}

TEST_CASE("nothing starves behind short intervals") {
    // The fast points alone take more than the line has.
    std::vector<TimedPoint> points(200, {0, 1000, 0});
    points.push_back({1, 60'000, 0});
    Schedule schedule(points, 0);
    auto polled = run(schedule, 0, 3'600'000, 10);
    CHECK(polled[200].size() >= 11); // at worst five times its interval
}

TEST_CASE("ten thousand points cost next to nothing") {
    std::vector<TimedPoint> points;
    for (std::uint32_t i = 0; i < 10'000; ++i)
        points.push_back({i / 10, i % 2 == 0 ? 1000 : 10'000, phase_seed("bus", std::to_string(i / 10))});
    Schedule schedule(points, 0);
    CHECK(schedule.group_count() == 2000);
    std::size_t polls = 0;
    for (const auto& [point, times] : run(schedule, 0, 60'000, 0))
        polls += times.size();
    CHECK(polls > 10'000U * 33 - 20'000);
    CHECK(schedule.missed() == 0);
}

TEST_CASE("no points, nothing to do") {
    Schedule schedule({}, 0);
    CHECK(schedule.take(1'000'000).empty());
    CHECK(schedule.next(0) == std::numeric_limits<std::int64_t>::max());
}

} // namespace things
