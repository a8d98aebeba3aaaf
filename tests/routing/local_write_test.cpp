// SPDX-License-Identifier: Apache-2.0
#include "support/routing_site.hpp"

#include <doctest/doctest.h>

using namespace things;
using namespace std::chrono_literals;

// What a technician hears of a write by hand, and what holds for two commands that come close together.

TEST_CASE("who writes by hand hears how it ended") {
    Site site;
    site.point("setpoint").writable->max_step = 5;
    site.start();
    LocalEnd end = LocalEnd::done;
    std::string words;
    const auto write = [&](const char* device, const char* point, const char* text) {
        site.router->write_local(device, point, text, [&](const std::string& told, LocalEnd how) {
            words = told;
            end = how;
        });
        return end;
    };
    CHECK(write("boiler", "pump", "on") == LocalEnd::done);
    CHECK(write("boiler", "setpoint", "99") == LocalEnd::failed);
    CHECK(write("boiler", "nothing", "1") == LocalEnd::unknown);
    CHECK(write("cooler", "pump", "on") == LocalEnd::unknown);
    site.bus.reads_as["boiler/pump"] = false;
    CHECK(write("boiler", "pump", "on") == LocalEnd::failed);
    site.bus.broken.insert("boiler");
    CHECK(write("boiler", "pump", "off") == LocalEnd::silent);
    CHECK(words ==
          "pump: writing false failed: no answer from unit 1 within 500 ms; it cannot be read back either");
    CHECK(write("boiler", "setpoint", "21") == LocalEnd::silent);
}

TEST_CASE("min_interval counts from the write, not from when flash has its end") {
    Site site;
    site.point("pump").writable->min_interval = 60s;
    site.start();
    site.store.is_deferred = site.bus.is_deferred = true;
    site.answer(R"({"n":"pump","vb":true})");
    site.store.answer(); // the write is on the bus
    site.answer(R"({"n":"pump","vb":false})");
    site.store.answer(); // it waits for the one before it
    site.bus.answer();   // written and read back; its end is not stored yet
    CHECK(site.bus.writes.size() == 1);
    site.store.answer();
    site.bus.answer();
    site.store.answer();
    CHECK(site.bus.writes.size() == 1);
    CHECK(site.at(1).state == CommandState::done);
    CHECK(site.at(2).verdict == "refused: it may be written every 60 s only");
}
