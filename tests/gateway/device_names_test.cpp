// SPDX-License-Identifier: Apache-2.0
#include "gateway/device_names.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("a device keeps its name until its removal is over, and what took its name is another") {
    DeviceNames devices;
    devices.begin();
    CHECK_FALSE(devices.set(1, "boiler"));
    CHECK_FALSE(devices.set(2, "pump"));
    CHECK(devices.id("boiler") == DeviceId{1});
    CHECK(devices.take_removed().empty());

    devices.begin(); // "boiler" got another DvnUUID, "pump" another name
    CHECK_FALSE(devices.set(3, "boiler"));
    CHECK(devices.set(2, "feed pump") == "pump");
    CHECK(devices.id("boiler") == DeviceId{3});
    CHECK_FALSE(devices.id("pump"));
    REQUIRE(devices.name(1) != nullptr); // its last readings are on their way
    CHECK(*devices.name(1) == "boiler");

    const auto removed = devices.take_removed();
    REQUIRE(removed.size() == 1);
    CHECK(removed[0] == std::pair<DeviceId, std::string>{1, "boiler"});
    CHECK(devices.name(1) == nullptr);
    CHECK(devices.alarm_name(1) == "removed 1");
    CHECK(devices.alarm_name(2) == "feed pump");
}
