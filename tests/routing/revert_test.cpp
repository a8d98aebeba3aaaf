// SPDX-License-Identifier: Apache-2.0
#include "routing/router.hpp"

#include "support/routing_site.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace std::chrono_literals;
using things::CommandState;
using things::Site;
using things::Value;

namespace {

const Value safe = std::int64_t{18}; // whole numbers are written as integers

/// A site whose set-point falls back to 18 Cel ten minutes after it was last asked for.
Site& with_revert(Site& site) {
    site.point("setpoint").writable->revert = things::Revert{10min, 18.0};
    site.start();
    return site;
}

Value setpoint(Site& site) {
    return site.bus.held["boiler/setpoint"];
}

std::size_t waiting_reverts(const Site& site) {
    return static_cast<std::size_t>(
        std::count_if(site.store.commands.begin(), site.store.commands.end(), [](const auto& entry) {
            return entry.second.origin == "revert" && entry.second.state == CommandState::waiting;
        }));
}

} // namespace

TEST_CASE("a set-point falls back when nobody renews it") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    CHECK(waiting_reverts(site) == 1);
    site.time.pass(599'999ms);
    CHECK(setpoint(site) == Value(std::int64_t{25}));
    site.time.pass(1ms);
    CHECK(setpoint(site) == safe);
    CHECK(site.last().origin == "revert");
    CHECK(site.last().state == CommandState::done);
    CHECK(site.outcomes.back().value == safe);
}

TEST_CASE("a renewal puts it off, be it new or the same again") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    site.time.pass(4min);
    site.answer(R"({"n":"setpoint","v":25})"); // within the repeat window: not written, but renewed
    CHECK(site.bus.writes.size() == 1);
    CHECK(waiting_reverts(site) == 1);
    site.time.pass(9min);
    CHECK(setpoint(site) == Value(std::int64_t{25}));
    site.answer(R"({"n":"setpoint","v":24})");
    CHECK(waiting_reverts(site) == 1);
    site.time.pass(9min);
    CHECK(setpoint(site) == Value(std::int64_t{24}));
    site.time.pass(1min);
    CHECK(setpoint(site) == safe);
    CHECK(waiting_reverts(site) == 0);
}

TEST_CASE("asked for again after it fell back, it is written again") {
    Site site;
    site.point("setpoint").writable->revert = things::Revert{1min, 18.0};
    site.start();
    site.answer(R"({"n":"setpoint","v":25})");
    site.time.pass(61s);
    CHECK(setpoint(site) == safe);
    site.answer(R"({"n":"setpoint","v":25})"); // still within the repeat window of five minutes
    CHECK(setpoint(site) == Value(std::int64_t{25}));
}

TEST_CASE("asking for the safe value ends the matter") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    site.answer(R"({"n":"setpoint","v":18})");
    CHECK(waiting_reverts(site) == 0);
    site.time.pass(1h);
    CHECK(site.bus.writes.size() == 2);
}

TEST_CASE("a command that was not carried out leaves nothing to fall back from") {
    Site site;
    site.point("setpoint").writable->max_step = 2;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    CHECK(site.bus.writes.empty());
    CHECK(waiting_reverts(site) == 0);
    site.answer(R"({"n":"setpoint","v":99})");
    CHECK(waiting_reverts(site) == 0);
}

TEST_CASE("a refused command does not renew what was asked before") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    site.time.pass(9min);
    site.answer(R"({"n":"setpoint","v":99})");
    site.time.pass(1min);
    CHECK(setpoint(site) == safe);
}

TEST_CASE("a fall-back survives a restart, however long") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    site.kill();
    SUBCASE("of the process") {
        site.time.pass(2min);
        site.start();
        site.time.pass(8min);
    }
    SUBCASE("of the machine") {
        site.time.reboot(2min);
        site.start();
        CHECK(setpoint(site) == Value(std::int64_t{25}));
        site.time.pass(8min);
    }
    SUBCASE("for a week") {
        site.time.reboot(168h);
        site.start();
    }
    SUBCASE("without a clock: after its time in this boot at the latest") {
        site.time.synchronised = false;
        site.time.reboot(2min);
        site.start();
        CHECK(setpoint(site) == Value(std::int64_t{25}));
        site.time.pass(10min);
    }
    CHECK(setpoint(site) == safe);
    CHECK(waiting_reverts(site) == 0);
}

TEST_CASE("a device that is away when its set-point should fall back is tried until it does") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    site.bus.broken = {"boiler"};
    site.time.pass(1h);
    CHECK(setpoint(site) == Value(std::int64_t{25}));
    const auto tries = site.bus.writes.size();
    CHECK(tries > 5);
    CHECK(tries < 20);
    CHECK(site.store.commands.size() == 2); // no audit line for each try
    SUBCASE("by the same process") {
        site.bus.broken.clear();
    }
    SUBCASE("by the next") {
        site.kill();
        site.bus.broken.clear();
        site.start();
    }
    site.time.pass(10min);
    CHECK(setpoint(site) == safe);
    const auto after = site.bus.writes.size();
    site.time.pass(1h);
    CHECK(site.bus.writes.size() == after);
}

TEST_CASE("with writes switched off it falls back as soon as they are on again") {
    Site site;
    with_revert(site).answer(R"({"n":"setpoint","v":25})");
    site.config.writes = false;
    site.router->update(site.config);
    site.time.pass(1h);
    CHECK(setpoint(site) == Value(std::int64_t{25}));
    site.config.writes = true;
    site.router->update(site.config);
    site.time.pass(10min);
    CHECK(setpoint(site) == safe);
}

TEST_CASE("min_interval and max_step do not keep a set-point from falling back") {
    Site site;
    site.point("setpoint").writable->max_step = 2;
    site.point("setpoint").writable->min_interval = 24h;
    site.bus.held["boiler/setpoint"] = 25.0;
    with_revert(site).answer(R"({"n":"setpoint","v":26})");
    site.time.pass(10min);
    CHECK(setpoint(site) == safe);
}
