// SPDX-License-Identifier: Apache-2.0
#include "polling/report.hpp"

#include <doctest/doctest.h>

namespace things {

namespace {

Sample sample(Value value, std::int64_t ms = 0) {
    return {std::move(value), {ms, Stamp::Clock::wall}};
}

} // namespace

TEST_CASE("without rules everything passes") {
    ReportFilter filter({});
    CHECK(filter.pass(sample(1.0), 0));
    CHECK(filter.pass(sample(1.0), 1));
    CHECK_FALSE(filter.due(1'000'000).has_value());
}

TEST_CASE("on_change lets changes pass, the heartbeat the rest") {
    Report rules;
    rules.on_change = true;
    rules.heartbeat = Milliseconds(1000);
    ReportFilter filter(rules);
    CHECK(filter.pass(sample(1.0), 0));
    CHECK_FALSE(filter.pass(sample(1.0), 500));
    CHECK(filter.pass(sample(2.0), 600));
    CHECK_FALSE(filter.pass(sample(2.0), 1599));
    CHECK(filter.pass(sample(2.0), 1600));
    CHECK(filter.pass(sample(std::string("off")), 1700));
    CHECK_FALSE(filter.pass(sample(std::string("off")), 1800));
}

TEST_CASE("a deadband counts from the value that passed, so that a slow drift is seen") {
    Report rules;
    rules.deadband = 0.5;
    ReportFilter filter(rules);
    CHECK(filter.pass(sample(10.0), 0));
    CHECK_FALSE(filter.pass(sample(10.3), 1));
    CHECK_FALSE(filter.pass(sample(10.5), 2));
    CHECK(filter.pass(sample(10.6), 3));
    CHECK_FALSE(filter.pass(sample(std::int64_t{11}), 4));
    CHECK(filter.pass(sample(std::int64_t{12}), 5));
}

TEST_CASE("an aggregate is one sample a window") {
    struct Case {
        Aggregate aggregate;
        Value expected;
        std::int64_t at;
    };
    for (const Case& c : {Case{Aggregate::mean, 3.0, 3}, Case{Aggregate::min, 1.0, 2},
                          Case{Aggregate::max, 6.0, 1}, Case{Aggregate::last, 2.0, 3}}) {
        Report rules;
        rules.aggregate = c.aggregate;
        rules.window = Milliseconds(1000);
        ReportFilter filter(rules);
        CHECK_FALSE(filter.pass(sample(6.0, 1), 10'000));
        CHECK_FALSE(filter.pass(sample(1.0, 2), 10'400));
        CHECK_FALSE(filter.pass(sample(2.0, 3), 10'999));
        CHECK_FALSE(filter.due(10'999).has_value());
        const auto out = filter.due(11'000);
        REQUIRE(out.has_value());
        CHECK(out->value == c.expected);
        CHECK(out->stamp.ms == c.at);
        CHECK_FALSE(filter.due(12'000).has_value()); // nothing came, nothing goes
        CHECK_FALSE(filter.pass(sample(9.0, 4), 12'100));
        CHECK(filter.due(12'200, true)->value == Value(9.0)); // the source stops
    }
}

TEST_CASE("integers keep their kind in min, max and last") {
    Report rules;
    rules.aggregate = Aggregate::max;
    rules.window = Milliseconds(1000);
    ReportFilter filter(rules);
    (void)filter.pass(sample(std::uint64_t{18446744073709551615U}), 0);
    CHECK(filter.due(1000)->value == Value(std::uint64_t{18446744073709551615U}));
}

TEST_CASE("labels turn raw values into words and back") {
    const Labels labels = {{0, "off"}, {1, "on"}, {-1, "fault"}};
    CHECK(apply_labels(labels, Value(std::int64_t{1})) == Value(std::string("on")));
    CHECK(apply_labels(labels, Value(true)) == Value(std::string("on")));
    CHECK(apply_labels(labels, Value(-1.0)) == Value(std::string("fault")));
    CHECK(apply_labels(labels, Value(0.5)) == Value(0.5));
    CHECK(apply_labels(labels, Value(std::uint64_t{18446744073709551615U})) ==
          Value(std::uint64_t{18446744073709551615U})); // not -1
    CHECK(apply_labels({}, Value(1.0)) == Value(1.0));
    CHECK(remove_labels(labels, Value(std::string("fault"))) == Value(std::int64_t{-1}));
    CHECK_FALSE(remove_labels(labels, Value(std::string("OFF"))).has_value());
    CHECK(remove_labels(labels, Value(std::int64_t{1})) == Value(std::int64_t{1}));
    CHECK(remove_labels({}, Value(std::string("text"))) == Value(std::string("text")));
}

} // namespace things
