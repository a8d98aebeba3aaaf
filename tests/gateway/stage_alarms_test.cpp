// SPDX-License-Identifier: Apache-2.0
#include "gateway/stage_alarms.hpp"

#include "support/fake_clock.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace things;

namespace {

std::map<std::string, std::string> lines(const StageAlarms& alarms) {
    std::map<std::string, std::string> all;
    for (const AlarmView& alarm : alarms.book().list())
        all[alarm.key] = alarm.text;
    return all;
}

using Lines = std::map<std::string, std::string>;

} // namespace

TEST_CASE("whatever the queue complains of is an alarm until it no longer does") {
    FakeClock clock;
    const DeviceNames devices;
    StageAlarms alarms("gw", clock, devices);
    const auto clock_words = [] {
        return std::string("held back: clock");
    };
    alarms.set_queue({{"flash", "flash refuses", true}, {"never heard of", "new", false}}, clock_words);
    CHECK(lines(alarms) == Lines{{"queue/flash", "flash refuses"}, {"queue/never heard of", "new"}});
    alarms.set_queue({{"clock", "waits", true}}, clock_words);
    CHECK(lines(alarms) == Lines{{"queue/clock", "held back: clock"}});
    alarms.set_queue({}, clock_words);
    CHECK(lines(alarms).empty());
}

TEST_CASE("a device's alarm goes with the device, and those of others stay") {
    FakeClock clock;
    DeviceNames devices;
    devices.begin();
    devices.set(1, "boiler");
    devices.set(2, "pump");
    StageAlarms alarms("gw", clock, devices);
    alarms.on_upload_alarm({UploadAlarm::Kind::device_parked, 1, "boiler: 401"}, false);
    alarms.on_upload_alarm({UploadAlarm::Kind::dead_letter, 2, "pump: 1 reading set aside"}, false);
    alarms.on_upload_alarm({UploadAlarm::Kind::device_parked, 9, "somebody who was removed: 404"}, false);
    CHECK(lines(alarms) == Lines{{"device/boiler/parked", "boiler: 401"},
                                 {"device/pump/dead", "pump: 1 reading set aside"},
                                 {"device/removed 9/parked", "somebody who was removed: 404"}});
    CHECK(alarms.book().find("device/boiler/parked")->urgent);
    CHECK_FALSE(alarms.book().find("device/removed 9/parked")->urgent); // nobody waits for its rest
    alarms.forget_device("boiler");
    alarms.end_dead({}, [](const std::string&) { return DeviceId{2}; }); // its letters were dropped
    CHECK(lines(alarms) == Lines{{"device/removed 9/parked", "somebody who was removed: 404"}});
}

TEST_CASE("a refused configuration is an alarm until one is accepted") {
    FakeClock clock;
    const DeviceNames devices;
    StageAlarms alarms("gw", clock, devices);
    alarms.set_refusal("gateway.yaml:3:1: error: unknown key");
    REQUIRE(alarms.book().find("config") != nullptr);
    CHECK(alarms.book().find("config")->urgent);
    alarms.set_refusal("");
    CHECK(lines(alarms).empty());
}
