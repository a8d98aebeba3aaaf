// SPDX-License-Identifier: Apache-2.0
#include "plugins/link/fake_host.hpp"
#include "plugins/link/pty.hpp"
#include "plugins/p1/telegram_text.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace things;

TEST_CASE("the meter's clock is judged by the gateway's only where the gateway believes that one") {
    for (const bool is_trusted : {true, false}) {
        CAPTURE(is_trusted);
        Pty pty;
        TestConfig config;
        config.set("port", pty.path()).set("baud", std::string("115200"));
        config.point("power", "W", 0).at("value", std::string("power"));
        FakeHost host(*things_plugin_entry());
        host.is_clock_trusted = is_trusted;
        REQUIRE(host.create(config) == THINGS_OK);
        host.listen(10);
        pty.send(make_telegram("1-3:0.2.8(50)\n0-0:1.0.0(200101120000W)\n1-0:1.7.0(00.405*kW)\n")); // of 2020
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (host.readings.empty() && std::chrono::steady_clock::now() < give_up)
            host.listen(50);
        REQUIRE(host.readings.size() == 1);
        CHECK((host.event("meter_clock") != nullptr) == is_trusted);
    }
}
