// SPDX-License-Identifier: Apache-2.0
#include "modbus/read_plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

using namespace things;

namespace {

using Spans = std::vector<RegisterSpan>;

const LinkCost slow = serial_cost({9600, 8, LineParity::none, 1}, 0, 5000);
const LinkCost fast = serial_cost({115200, 8, LineParity::none, 1}, 0, 5000);

std::vector<RegisterSpan> requests(const Spans& wanted, const ReadLimits& limits, const LinkCost& cost = slow,
                                   const TableLessons& lessons = {}) {
    std::vector<RegisterSpan> result;
    for (const PlannedRead& read : plan_reads(wanted, RegisterTable::holding, limits, cost, lessons))
        result.push_back(read.span);
    return result;
}

Spans random_spans(std::mt19937& random, std::size_t count, std::uint32_t range) {
    Spans spans;
    while (spans.size() < count) {
        const auto first = static_cast<std::uint32_t>(random() % range);
        constexpr std::uint32_t sizes[] = {1, 1, 2, 2, 4, 8};
        spans.push_back({first, first + sizes[random() % 6]});
    }
    std::sort(spans.begin(), spans.end());
    return spans;
}

bool touches(RegisterSpan a, RegisterSpan b) {
    return a.first < b.end && b.first < a.end;
}

// May these wanted spans be read by one request? Written down once more, straight from the rules.
bool is_allowed(const Spans& wanted, const std::vector<std::size_t>& group, const ReadLimits& limits,
                const TableLessons& lessons, RegisterSpan& span) {
    span = wanted[group[0]];
    std::vector<bool> asked(70000);
    bool same = true;
    for (const std::size_t i : group) {
        span = {std::min(span.first, wanted[i].first), std::max(span.end, wanted[i].end)};
        for (std::uint32_t a = wanted[i].first; a < wanted[i].end; ++a)
            asked[a] = true;
    }
    for (const std::size_t i : group)
        same = same && (wanted[i] == span || (span.first <= wanted[i].first && wanted[i].end <= span.end));
    const bool alone =
        std::any_of(group.begin(), group.end(), [&](std::size_t i) { return wanted[i] == span; });
    std::uint32_t hole = 0;
    for (std::uint32_t a = span.first; a < span.end; ++a) {
        hole = asked[a] ? 0 : hole + 1;
        if (hole > limits.gap)
            return false;
    }
    span = request_span(span, limits);
    if (alone)
        return true;
    return span.size() <= limits.most && std::none_of(lessons.forbidden.begin(), lessons.forbidden.end(),
                                                      [&](RegisterSpan bad) { return touches(bad, span); });
}

// The cheapest of all ways to put the spans into groups.
double brute_force(const Spans& wanted, const ReadLimits& limits, const LinkCost& cost,
                   const TableLessons& lessons) {
    double best = std::numeric_limits<double>::infinity();
    std::vector<std::vector<std::size_t>> groups;
    const std::function<void(std::size_t)> place = [&](std::size_t i) {
        if (i == wanted.size()) {
            double total = 0;
            for (const auto& group : groups) {
                RegisterSpan span;
                if (!is_allowed(wanted, group, limits, lessons, span))
                    return;
                total += cost.read_us(RegisterTable::holding, span.size());
            }
            best = std::min(best, total);
            return;
        }
        for (std::size_t g = 0; g < groups.size(); ++g) {
            groups[g].push_back(i);
            place(i + 1);
            groups[g].pop_back();
        }
        groups.push_back({i});
        place(i + 1);
        groups.pop_back();
    };
    place(0);
    return best;
}

double price(const std::vector<PlannedRead>& plan, const LinkCost& cost) {
    double total = 0;
    for (const PlannedRead& read : plan)
        total += cost.read_us(RegisterTable::holding, read.span.size());
    return total;
}

} // namespace

TEST_CASE("touching and overlapping values share a request, gaps do not by default") {
    CHECK(requests({{0, 2}, {2, 4}, {4, 6}}, {}) == Spans{{0, 6}});
    CHECK(requests({{0, 4}, {2, 3}, {2, 6}}, {}) == Spans{{0, 6}});
    CHECK(requests({{0, 2}, {3, 4}}, {}) == Spans{{0, 2}, {3, 4}});
    CHECK(requests({{0, 2}, {3, 4}}, {125, 1, false}) == Spans{{0, 4}});
}

TEST_CASE("a gap is crossed only as far as it is cheaper") {
    // 9600 baud: a request costs as much as about 14 registers; 115200: far more
    CHECK(requests({{0, 1}, {40, 41}}, {125, 100, false}, slow) == Spans{{0, 1}, {40, 41}});
    CHECK(requests({{0, 1}, {40, 41}}, {125, 100, false}, fast) == Spans{{0, 41}});
}

TEST_CASE("a request is worth some bytes on a line, and on TCP always more than a gap has") {
    CHECK(slow.request_bytes() == doctest::Approx(24.8).epsilon(0.01));
    CHECK(fast.request_bytes() > 2 * slow.request_bytes());
    for (const double round_trip_us : {50.0, 1000.0, 300'000.0})
        CHECK(tcp_cost(0, round_trip_us).request_bytes() == 250);
}

TEST_CASE("limits are kept and no value is cut in two") {
    Spans wanted;
    for (std::uint32_t a = 0; a < 400; a += 2)
        wanted.push_back({a, a + 2});
    for (const RegisterSpan& span : requests(wanted, {125, 0, false})) {
        CHECK(span.size() <= 125);
        CHECK(span.first % 2 == 0);
        CHECK(span.end % 2 == 0);
    }
    CHECK(requests(wanted, {125, 0, false}).size() == 4);
    CHECK(requests({{3, 4}}, {124, 0, true}) == Spans{{2, 4}});
    CHECK(requests({{0, 1}, {65535, 65536}}, {125, 0, false}) == Spans{{0, 1}, {65535, 65536}});
}

TEST_CASE("lessons: forbidden registers and cuts are never crossed, open gaps are") {
    CHECK(requests({{0, 2}, {4, 6}}, {125, 10, false}, slow, {{{2, 3}}, {}, {}}) == Spans{{0, 2}, {4, 6}});
    CHECK(requests({{0, 2}, {2, 4}}, {125, 10, false}, slow, {{}, {}, {2}}) == Spans{{0, 2}, {2, 4}});
    CHECK(requests({{0, 2}, {4, 6}}, {125, 0, false}, slow, {{}, {{2, 4}}, {}}) == Spans{{0, 6}});
}

TEST_CASE("any set of values is covered, within the limits, and close to the best of all ways") {
    std::mt19937 random(9);
    for (int trial = 0; trial < 600; ++trial) {
        const Spans wanted = random_spans(random, 1 + random() % 7, 60);
        const ReadLimits limits{8 + static_cast<std::uint32_t>(random() % 40),
                                static_cast<std::uint32_t>(random() % 12), trial % 5 == 0};
        const ReadLimits even{limits.even ? limits.most & ~1U : limits.most, limits.gap, limits.even};
        TableLessons lessons;
        if (trial % 3 == 0)
            lessons.forbidden.push_back({static_cast<std::uint32_t>(random() % 60), 61});
        for (RegisterSpan& bad : lessons.forbidden)
            bad.end = bad.first + 1;
        const LinkCost& cost = trial % 2 == 0 ? slow : fast;
        const auto plan = plan_reads(wanted, RegisterTable::holding, even, cost, lessons);
        std::size_t next = 0;
        for (const PlannedRead& read : plan) {
            CHECK(read.begin == next);
            next = read.end;
            for (std::size_t i = read.begin; i < read.end; ++i) {
                CHECK(read.span.first <= wanted[i].first);
                CHECK(wanted[i].end <= read.span.end);
            }
            const bool joined =
                std::none_of(wanted.begin() + static_cast<std::ptrdiff_t>(read.begin),
                             wanted.begin() + static_cast<std::ptrdiff_t>(read.end),
                             [&](RegisterSpan w) { return request_span(w, even) == read.span; });
            if (joined) {
                CHECK(read.span.size() <= even.most);
                for (const RegisterSpan& bad : lessons.forbidden)
                    CHECK_FALSE(touches(bad, read.span));
            }
        }
        CHECK(next == wanted.size());
        CHECK(price(plan, cost) <= 1.02 * brute_force(wanted, even, cost, lessons));
    }
}

TEST_CASE("ten thousand values in a table are planned") {
    std::mt19937 random(10);
    const Spans wanted = random_spans(random, 10000, 65000);
    const auto plan = plan_reads(wanted, RegisterTable::holding, {125, 8, false}, fast, {});
    CHECK(plan.back().end == wanted.size());
}
