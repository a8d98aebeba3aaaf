// SPDX-License-Identifier: Apache-2.0
#include "status/live_values.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("a slot of the history holds the mean of what fell into it") {
    History history;
    history.add(10, 0);
    history.add(20, History::step_ms - 1);
    history.add(7, History::step_ms);
    const auto values = history.values(History::step_ms);
    CHECK(values.size() == History::slots);
    CHECK(values[History::slots - 2] == 15.0);
    CHECK(values[History::slots - 1] == 7.0);
    CHECK_FALSE(values[0].has_value());
}

TEST_CASE("slots that nothing fell into are empty, also after more than a round") {
    History history;
    history.add(1, 0);
    history.add(2, 5 * History::step_ms);
    auto values = history.values(5 * History::step_ms);
    CHECK(values[History::slots - 6] == 1.0);
    CHECK_FALSE(values[History::slots - 3].has_value());
    const std::int64_t later = 1000 * History::step_ms;
    history.add(3, later);
    values = history.values(later);
    CHECK(values[History::slots - 1] == 3.0);
    for (std::size_t i = 0; i + 1 < History::slots; ++i)
        CHECK_FALSE(values[i].has_value());
}

TEST_CASE("a value from before the newest slot changes nothing") {
    History history;
    history.add(1, 10 * History::step_ms);
    history.add(99, 0);
    CHECK(history.values(10 * History::step_ms)[History::slots - 1] == 1.0);
    CHECK_FALSE(history.values(10 * History::step_ms)[History::slots - 11].has_value());
}

TEST_CASE("a value ends the point's problem, and points that are no more are forgotten") {
    LiveValues live;
    const SeriesId temperature = 3, other = 4;
    live.set_problem(temperature, "no answer");
    CHECK(live.find(temperature)->problem == "no answer");
    CHECK_FALSE(live.find(temperature)->value.has_value());
    live.set(temperature, 21.5, 1000, 0);
    CHECK(live.find(temperature)->problem.empty());
    CHECK(live.find(temperature)->time_ms == 1000);
    live.keep({other});
    CHECK(live.find(temperature) == nullptr);
}

TEST_CASE("a value is shown as people write it") {
    CHECK(value_text(Value{21.5}) == "21.5");
    CHECK(value_text(Value{true}) == "true");
    CHECK(value_text(Value{std::uint64_t{18446744073709551615ULL}}) == "18446744073709551615");
    CHECK(value_text(Value{std::string("a \"b\"")}) == "a \"b\"");
}
