// SPDX-License-Identifier: Apache-2.0
#include "status/alarms.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("an alarm keeps its beginning while its words change") {
    Alarms alarms;
    alarms.raise("uplink", "no address for the host", "check DNS", false, 1000);
    alarms.raise("uplink", "503", "", true, 2000);
    REQUIRE(alarms.list().size() == 1);
    CHECK(alarms.list()[0].since_ms == 1000);
    CHECK(alarms.list()[0].text == "503");
    CHECK(alarms.list()[0].urgent);
    REQUIRE(alarms.find("uplink"));
    CHECK(alarms.find("uplink")->text == "503");
    alarms.clear("uplink");
    CHECK(!alarms.find("uplink"));
    alarms.clear("never raised");
    CHECK(alarms.list().empty());
}

TEST_CASE("urgent alarms come first, then the oldest; a device's alarms go with it") {
    Alarms alarms;
    alarms.raise("source/plc", "silent", "", false, 1);
    alarms.raise("device/a/parked", "401", "", true, 3);
    alarms.raise("device/b/parked", "404", "", true, 2);
    CHECK(alarms.list()[0].key == "device/b/parked");
    CHECK(alarms.list()[1].key == "device/a/parked");
    CHECK(alarms.list()[2].key == "source/plc");
    alarms.clear_all("device/b/");
    CHECK(alarms.list().size() == 2);
}
