// SPDX-License-Identifier: Apache-2.0
#include "routing/router.hpp"

#include "support/routing_site.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

// The daemon dies at every step between an answer and its outcome: after each durable change, after each
// effect on the bus, and at random moments with slow flash and a slow bus.
using namespace std::chrono_literals;
using things::Command;
using things::CommandState;
using things::Outcome;
using things::Site;
using things::Value;

namespace {

/// Thrown where the process is to die; nothing of the daemon catches it.
struct Death {};

/// What must hold whatever died when: by value, so that each command of a test writes a value of its own.
void check_books(const Site& site) {
    std::map<std::string, int> writes;
    for (const auto& write : site.bus.writes)
        ++writes[write.point + " " + things::FakeBus::words(write.value)];
    for (const auto& [key, count] : writes)
        CHECK_MESSAGE(count == 1, key, " was written ", count, " times");
    for (const auto& [id, command] : site.store.commands) {
        const auto key = command.point + " " + things::FakeBus::words(command.value);
        CHECK(is_ended(command.state));
        if (command.state == CommandState::done)
            CHECK_MESSAGE(writes[key] == 1, "done without a write: ", key);
        if (command.state == CommandState::expired || command.state == CommandState::refused)
            CHECK_MESSAGE(writes[key] == 0, "written although ", command.verdict);
        const auto is_told =
            std::any_of(site.outcomes.begin(), site.outcomes.end(), [&command](const Outcome& outcome) {
                return outcome.name == command.point + "_said" && outcome.value == Value(command.verdict);
            });
        CHECK_MESSAGE(is_told, key, " was never told of: ", command.verdict);
    }
}

/// Runs a downlink of three commands, dying at the `step`-th step. Returns false when there are fewer.
bool dies_at(int step, std::chrono::milliseconds down, Site& site) {
    for (const auto* name : {"pump", "setpoint", "mode"})
        site.point(name).writable->outcome = std::string(name) + "_said";
    int left = step;
    const auto maybe_die = [&left] {
        if (left-- == 0)
            throw Death();
    };
    site.store.on_write = maybe_die;
    site.bus.on_write = maybe_die;
    site.start();
    bool died = false;
    try {
        site.answer(R"({"n":"pump","vb":true},{"n":"setpoint","v":22},{"n":"mode","vs":"on"})");
        site.time.pass(20s);
    } catch (const Death&) {
        died = true;
    }
    site.store.on_write = nullptr;
    site.bus.on_write = nullptr;
    site.kill();
    site.time.pass(down);
    site.start();
    site.time.pass(10min);
    return died;
}

} // namespace

TEST_CASE("killed at each step of a downlink and started again soon: nothing lost, nothing twice") {
    int steps = 0;
    for (bool died = true; died; ++steps) {
        CAPTURE(steps);
        Site site;
        site.point("setpoint").writable->settle = 1s;
        died = dies_at(steps, 3s, site);
        check_books(site);
        for (const auto& [id, command] : site.store.commands)
            CHECK(command.state != CommandState::expired);
        // What had not begun was carried out; what had begun was done or reported, and stopped the rest.
        bool is_stopped = false;
        for (const auto& [id, command] : site.store.commands) {
            CHECK((command.state == CommandState::refused) == is_stopped);
            is_stopped = is_stopped || command.state != CommandState::done;
        }
        REQUIRE(steps < 100);
    }
    CHECK(steps > 9); // store, and for each of three: begun, write, end
}

TEST_CASE("killed at each step and started again too late: what had not begun expires") {
    int steps = 0;
    for (bool died = true; died; ++steps) {
        CAPTURE(steps);
        Site site;
        died = dies_at(steps, 90s, site);
        check_books(site);
        REQUIRE(steps < 100);
    }
}

TEST_CASE("begun and found written is done; begun and found otherwise is failed and not repeated") {
    for (const bool had_effect : {true, false}) {
        CAPTURE(had_effect);
        Site site;
        site.bus.is_deferred = true;
        site.bus.ignored_writes = had_effect ? 0 : 1;
        site.start();
        site.answer(R"({"n":"pump","vb":true})");
        site.kill();
        site.bus.is_deferred = false;
        site.start();
        CHECK(site.bus.writes.size() == 1);
        CHECK(site.last().state == (had_effect ? CommandState::done : CommandState::failed));
        CHECK(site.last().verdict == (had_effect ? "true read back after the gateway was restarted"
                                                 : "the gateway went down while true was written; it reads "
                                                   "false and is not repeated"));
        CHECK(site.outcomes.size() == 1);
    }
}

TEST_CASE("a device that starts slower than the gateway is verified when it is there") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    site.kill();
    site.bus.is_deferred = false;
    site.bus.broken = {"boiler"};
    site.start();
    site.time.pass(12s);
    CHECK(site.last().state == CommandState::begun);
    site.bus.broken.clear();
    site.time.pass(10s);
    CHECK(site.last().state == CommandState::done);
    CHECK(site.bus.writes.size() == 1);
}

TEST_CASE("a restart that finds the limits changed obeys the new ones") {
    Site site;
    site.start();
    site.answer(R"({"n":"setpoint","v":25,"t":1})");
    site.kill();
    site.point("setpoint").writable->max = 24;
    site.start();
    site.time.pass(2s);
    CHECK(site.bus.writes.empty());
    CHECK(site.last().verdict == "refused: 25 Cel is above its maximum 24 Cel");
}

TEST_CASE("killed 2000 times at random, with slow flash and a slow bus") {
    std::mt19937 random(20240501); // a fixed seed: the same run each time
    const auto pick = [&random](int most) {
        return std::uniform_int_distribution<int>(0, most)(random);
    };
    Site site;
    site.point("setpoint").writable->min.reset();
    site.point("setpoint").writable->max.reset();
    site.point("setpoint").writable->repeat_window = 0s;
    site.point("setpoint").writable->outcome = "setpoint_said";
    site.store.is_deferred = true;
    site.bus.is_deferred = true;
    int deaths = 0, next_value = 1000;
    std::map<std::string, std::int64_t> over_at; // by value: when it may begin no more
    site.start();
    const auto maybe_die = [&pick] {
        if (pick(9) == 0)
            throw Death();
    };
    site.store.on_write = maybe_die;
    site.bus.on_write = maybe_die;
    while (deaths < 2000) {
        try {
            const auto delay = pick(3) == 0 ? pick(70) : 0;
            for (int i = pick(2); i >= 0; --i) {
                over_at[std::to_string(next_value)] = site.time.boot + delay * 1000 + 60'000;
                site.answer(R"({"n":"setpoint","v":)" + std::to_string(next_value++) +
                            ",\"t\":" + std::to_string(delay) + "}");
            }
            const auto seen = site.bus.writes.size();
            if (pick(1) == 0)
                site.store.answer();
            if (pick(1) == 0)
                site.bus.answer();
            site.time.pass(std::chrono::milliseconds(pick(20'000)));
            for (auto i = seen; i < site.bus.writes.size(); ++i)
                CHECK(site.bus.writes[i].not_after_boot_ms <=
                      over_at.at(things::FakeBus::words(site.bus.writes[i].value)));
        } catch (const Death&) {
            ++deaths;
            site.kill();
            site.time.pass(std::chrono::milliseconds(pick(60'000)));
            site.store.on_write = site.bus.on_write = nullptr; // it may die again after its start
            site.start();
            site.store.on_write = maybe_die;
            site.bus.on_write = maybe_die;
        }
    }
    site.store.on_write = site.bus.on_write = nullptr;
    for (int i = 0; i < 100; ++i) {
        site.store.answer();
        site.bus.answer();
        site.time.pass(10s);
    }
    check_books(site);
    std::map<CommandState, int> ends;
    for (const auto& [id, command] : site.store.commands)
        ++ends[command.state];
    MESSAGE("done ", ends[CommandState::done], ", failed ", ends[CommandState::failed], ", expired ",
            ends[CommandState::expired]);
    CHECK(ends[CommandState::done] > 300);
    CHECK(ends[CommandState::failed] > 100); // begun, and died before the write
    CHECK(ends[CommandState::expired] > 100);
}
