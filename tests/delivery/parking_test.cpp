// SPDX-License-Identifier: Apache-2.0
#include "delivery/parking.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("probes of a parked device come after a minute, then half as often each time, up to an hour") {
    Parking parking;
    CHECK_FALSE(parking.is_parked());
    std::int64_t now = 1'000'000;
    for (const std::int64_t wait_s : {60, 120, 240, 480, 960, 1920, 3600, 3600}) {
        parking.park("401 Unauthorized", false, now, 0);
        CHECK(parking.probe_ms() - now == wait_s * 1000);
        now = parking.probe_ms();
    }
    CHECK(parking.is_parked());
    CHECK(parking.reason() == "401 Unauthorized");
    SUBCASE("spread over the last quarter") {
        parking.park("401 Unauthorized", false, now, 1);
        CHECK(parking.probe_ms() - now == 2'700'000);
    }
    SUBCASE("an operator does not wait") {
        parking.try_now(now);
        CHECK(parking.probe_ms() == now);
    }
    SUBCASE("once known again it begins anew") {
        parking.end();
        CHECK_FALSE(parking.is_parked());
        CHECK(parking.reason().empty());
        parking.park("404 Not Found", false, now, 0);
        CHECK(parking.probe_ms() - now == 60'000);
    }
}

TEST_CASE("a first doubt about the content is probed at once") {
    Parking parking;
    parking.park("400 Bad Request", true, 5000, 0.5);
    CHECK(parking.is_by_content());
    CHECK(parking.probe_ms() == 5000);
    parking.park("400 Bad Request", true, 5000, 0);
    CHECK(parking.probe_ms() == 65'000);
}
