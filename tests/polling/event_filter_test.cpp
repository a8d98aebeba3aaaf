// SPDX-License-Identifier: Apache-2.0
#include "polling/event_filter.hpp"
#include "polling/restarts.hpp"

#include <doctest/doctest.h>

namespace things {

namespace {

SourceEvent problem(const std::string& code, std::uint32_t index = 0) {
    return {SourceEvent::Kind::problem, Level::device, index, code, "text of " + code, 1};
}
SourceEvent recovered(std::uint32_t index = 0) {
    return {SourceEvent::Kind::recovered, Level::device, index, "", "works", 1};
}

} // namespace

TEST_CASE("of a repeating failure the beginning, the change and the end pass, with a count") {
    EventFilter filter;
    CHECK(filter.feed(problem("timeout"), 0).size() == 1);
    for (int i = 0; i < 100; ++i)
        CHECK(filter.feed(problem("timeout"), i).empty());
    CHECK(filter.is_failing(Level::device, 0));
    CHECK_FALSE(filter.is_failing(Level::device, 1));
    const auto change = filter.feed(problem("crc"), 200);
    REQUIRE(change.size() == 1);
    CHECK(change[0].code == "crc");
    const auto end = filter.feed(recovered(), 300);
    REQUIRE(end.size() == 1);
    CHECK(end[0].kind == SourceEvent::Kind::recovered);
    CHECK(end[0].count == 102);
    CHECK(filter.feed(recovered(), 400).empty());
    CHECK(filter.feed(problem("timeout", 1), 400).size() == 1); // another device is another story
}

TEST_CASE("what flaps is shown ten times a minute, and then as it stands") {
    EventFilter filter;
    std::size_t shown = 0;
    for (int i = 0; i < 1001; ++i) // ends failing
        shown += filter.feed(i % 2 == 0 ? problem("timeout") : recovered(), i * 10).size();
    CHECK(shown == 10);
    CHECK(filter.due(20'000).empty());
    const auto later = filter.due(61'000);
    REQUIRE(later.size() == 1);
    CHECK(later[0].kind == SourceEvent::Kind::problem);
    CHECK(filter.due(200'000).empty());
}

TEST_CASE("notes are ten a minute, and how many were left out is told") {
    EventFilter filter;
    std::size_t shown = 0;
    for (int i = 0; i < 50; ++i)
        shown += filter.feed({SourceEvent::Kind::note, Level::source, 0, "stderr", "line", 1}, i).size();
    CHECK(shown == 10);
    const auto next = filter.feed({SourceEvent::Kind::note, Level::source, 0, "stderr", "line", 1}, 70'000);
    REQUIRE(next.size() == 1);
    CHECK(next[0].text.find("40 notes") != std::string::npos);
}

TEST_CASE("a plugin that keeps dying is tried less and less often") {
    Restarts restarts;
    CHECK(restarts.after_death(0) == 1000);
    CHECK(restarts.after_death(1000) == 2000);
    CHECK_FALSE(restarts.in_quarantine());
    CHECK(restarts.after_death(3000) == 60'000);
    CHECK(restarts.in_quarantine());
    CHECK(restarts.after_death(63'000) == 120'000);
    CHECK(restarts.after_death(183'000) == 240'000);
    CHECK(restarts.after_death(423'000) == 300'000);
    CHECK(restarts.after_death(10'000'000) == 1000); // long ago is forgiven
}

} // namespace things
