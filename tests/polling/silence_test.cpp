// SPDX-License-Identifier: Apache-2.0
#include "polling/silence.hpp"

#include "polling/event_filter.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

namespace things {

using namespace test;

namespace {

/// Two points at 10 s, silent after 60 s.
struct Quiet {
    SourceWork work = make_work("simulated", 2, seconds(10));
    EventFilter events;
    [[nodiscard]] Silence silence(bool polls = false) const { return {work, polls, seconds(60)}; }
};

} // namespace

TEST_CASE("a source that never gave a value is told of after a minute, with the plugin's reason") {
    const Quiet quiet;
    Silence silence = quiet.silence();
    silence.on_create(1000);
    silence.on_reason(Level::source, 0, "72 bytes came, but no line end");
    CHECK(silence.due(60'999, quiet.events).empty());
    const auto told = silence.due(62'000, quiet.events);
    REQUIRE(told.size() == 1);
    CHECK(told[0].level == Level::source);
    CHECK(told[0].code == "silent");
    CHECK(told[0].text ==
          "silent: no value has come since it was started 61 s ago: 72 bytes came, but no line end");
}

TEST_CASE("one that gave values is silent after three intervals, and not while it is asked less often") {
    Quiet quiet;
    quiet.work = make_work("simulated", 1, seconds(100));
    Silence silence = quiet.silence(true);
    silence.on_create(0);
    silence.on_reading(0, 1000);
    CHECK(silence.due(290'000, quiet.events).empty());
    CHECK(silence.due(302'000, quiet.events).empty()); // nobody asked it since
    silence.on_poll();
    REQUIRE(silence.due(304'000, quiet.events).size() == 1);
}

TEST_CASE("a failure that was told is no silence") {
    Quiet quiet;
    Silence silence = quiet.silence();
    silence.on_create(0);
    (void)quiet.events.feed({SourceEvent::Kind::problem, Level::device, 0, "timeout", "no answer", 1}, 0);
    CHECK(silence.due(100'000, quiet.events).empty());
}

TEST_CASE("a point that gives nothing while others do is told of alone, unless it is only written") {
    Quiet quiet;
    quiet.work = make_work("simulated", 3, seconds(10));
    quiet.work.points[2].config.write_only = true;
    Silence silence = quiet.silence();
    silence.on_create(0);
    for (std::int64_t now = 0; now <= 62'000; now += 1000)
        silence.on_reading(0, now);
    silence.on_reason(Level::point, 1, "the program prints `levl`");
    const auto told = silence.due(62'000, quiet.events);
    REQUIRE(told.size() == 1);
    CHECK(told[0].level == Level::point);
    CHECK(told[0].index == 1);
    CHECK(told[0].text.ends_with("give theirs: the program prints `levl`"));
    silence.on_reading(1, 63'000);
    CHECK(silence.reason_for(1).empty());
}

} // namespace things
