// SPDX-License-Identifier: Apache-2.0
#include "config/summary.hpp"

#include "support/config_files.hpp"
#include "support/plugin_keys.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

const std::string two_devices = R"(
batch: {max_age: 60s}
things: {ca_file: ca.pem}
sources:
  plc: {plugin: modbus, host: 192.0.2.20, timeout: 1500ms, retries: 0}
  safe: {plugin: secretive, key: hunter2hunter2, headers: {a: 1, b: "2"}, writes: false, isolation: none}
  fake: {plugin: simulated}
devices:
  - name: boiler
    dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40
    secret: {env: BOILER}
    source: plc
    unit_id: 7
    interval: 10s
    points:
      - {name: temperature, unit: Cel, holding: 100, type: int16, scale: 0.1, invalid: [-1, "x"]}
      - {name: mode, holding: 101, labels: {0: "off", 1: "on"}, report: {deadband: 0.5, heartbeat: 1h}, pause: 50ms}
      - {name: average, holding: 101, report: {aggregate: max, window: 5m}, unit: "%RH"}
      - {name: setpoint, holding: 102, writable: {min: -5, max: 30, allowed: [1, 2.5], revert: {after: 90m, to: 1}, outcome: "0"}}
      - {name: wave, source: fake, wave: sine, period: 1h, writable: true}
  - name: "0x10"
    dvnuuid: 0d9c1a52-8d4f-4f0e-9a55-1b7a2f6c9e10
    secret: abcdefghijklmnopqrstuvwxyzABCD
    source: safe
    points: [{name: "on", interval: 2m}]
)";

} // namespace

TEST_CASE("the printed configuration loads again as the same and shows no secret") {
    ConfigFiles files;
    files.environment["BOILER"] = "bcdefghijklmnopqrstuvwxyzABCDE";
    const Loaded first = files.load(two_devices);
    REQUIRE_MESSAGE(first.config, files.problems(first));
    const std::string printed = print_config(*first.config, find_test_plugin);
    CHECK(printed.find("hunter2") == std::string::npos);
    CHECK(printed.find("bcdefghijkl") == std::string::npos);
    const Loaded second = files.load(printed);
    REQUIRE_MESSAGE(second.config, files.problems(second));
    CHECK(print_config(*second.config, find_test_plugin) == printed);
    CHECK(second.config->things == first.config->things);
    CHECK(second.config->batch == first.config->batch);
    CHECK(second.config->queue == first.config->queue);
    REQUIRE(second.config->devices.size() == 2);
    CHECK(second.config->devices[1].name == "0x10");
    for (std::size_t d = 0; d < 2; ++d) {
        const DeviceConfig& a = first.config->devices[d];
        const DeviceConfig& b = second.config->devices[d];
        CHECK(a.settings == b.settings);
        REQUIRE(a.points.size() == b.points.size());
        for (std::size_t p = 0; p < a.points.size(); ++p) {
            CAPTURE(a.points[p].name);
            CHECK(a.points[p].name == b.points[p].name);
            CHECK(a.points[p].unit == b.points[p].unit);
            CHECK(a.points[p].source == b.points[p].source);
            CHECK(a.points[p].interval == b.points[p].interval);
            CHECK(a.points[p].report == b.points[p].report);
            CHECK(a.points[p].writable == b.points[p].writable);
            CHECK(a.points[p].labels == b.points[p].labels);
            CHECK(a.points[p].settings == b.points[p].settings);
        }
    }
}

TEST_CASE("uploads and bytes follow from intervals and batch limits") {
    Config config;
    DeviceConfig device;
    device.name = "d";
    PointConfig point;
    point.name = "temperature";
    point.unit = "Cel";
    point.interval = seconds(10);
    device.points = {point, point};
    config.devices = {device};
    SUBCASE(
        "by age: every 65 s, since a reading that comes when the first is a minute old is in time or not") {
        const Traffic traffic = estimate_traffic(config);
        CHECK(traffic.readings_per_day == doctest::Approx(2 * 8640));
        CHECK(traffic.uploads_per_day == doctest::Approx(86400.0 / 65));
        // Something waits for 60 s of 65; a commit every 10 s misses a reading that waits for 60 s one time
        // in 12.
        CHECK(traffic.flash_per_day_online ==
              doctest::Approx(8640 * 60.0 / 65 * 8600 + 17280 * 11.0 / 12 * 20));
        CHECK(traffic.flash_per_day_outage == doctest::Approx(8640 * 8600.0 + 17280 * 20.0));
    }
    SUBCASE("by number of records") {
        config.batch.max_records = 2;
        CHECK(estimate_traffic(config).uploads_per_day == doctest::Approx(8640));
    }
    SUBCASE("an account's quota wins") {
        config.batch.max_records = 2;
        config.things.min_interval = minutes(5);
        CHECK(estimate_traffic(config).uploads_per_day == doctest::Approx(288));
    }
    SUBCASE("by age: a pack a reading where the next one comes later than that") {
        config.batch.max_age = seconds(5);
        CHECK(estimate_traffic(config).uploads_per_day == doctest::Approx(8640));
        CHECK(estimate_traffic(config).flash_per_day_online == 0); // all is accepted before a commit takes it
        CHECK(estimate_traffic(config).flash_per_day_outage > 0);
    }
    SUBCASE("readings that are rarer than commits cost one for each and one for its acceptance") {
        config.devices[0].points = {point};
        config.devices[0].points[0].interval = hours(1);
        CHECK(estimate_traffic(config).flash_per_day_outage == doctest::Approx(24 * 8600.0 + 24 * 20.0));
        CHECK(estimate_traffic(config).flash_per_day_online ==
              doctest::Approx(48 * 8600.0 + 24 * 11.0 / 12 * 20));
    }
    SUBCASE("an aggregate reports once a window") {
        config.devices[0].points[0].report = {false, 0, Milliseconds(0), Aggregate::mean, minutes(10)};
        CHECK(estimate_traffic(config).readings_per_day == doctest::Approx(8640 + 144));
    }
    SUBCASE("a device with one rare point does not upload more often than it reads") {
        config.devices[0].points = {point};
        config.devices[0].points[0].interval = hours(1);
        CHECK(estimate_traffic(config).uploads_per_day == doctest::Approx(24));
    }
}

TEST_CASE("the summary is what a person holds against the wall") {
    ConfigFiles files;
    const Loaded loaded = files.load(device_head + R"(    interval: 10s
    points:
      - {name: temperature, unit: Cel, holding: 100, type: int16}
      - {name: setpoint, unit: Cel, holding: 200, writable: {min: 5, max: 30}}
)");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    Config config = *loaded.config;
    config.file = "gateway.yaml";
    const SourcePlan plan{"plc",
                          2,
                          45,
                          0.045,
                          {"unit 1: holding 100 (1 register)", "unit 1: holding 200 (1 register)"},
                          {R"({"unit":1,"first":100})", R"({"unit":1,"first":200})"}};
    CHECK(summary_text(config, {plan}, {true, true}) == R"(gateway.yaml: 1 source, 1 device, 2 points
Sources
  plc (modbus): 1 device, 2 points
    host=192.0.2.20
    plan: 2 requests a cycle, predicted 45 ms, load 4.5 %
      unit 1: holding 100 (1 register)
      unit 1: holding 200 (1 register)
Devices
  boiler (6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40) on plc: 2 points; a day 17280 readings in 1329 uploads, 234 MB a month
    temperature in Cel  every 10s  holding=100 type=int16
    setpoint in Cel  every 10s  holding=200  writable 5 to 30
In all
  17280 readings and 1329 uploads a day to https://prod.dm.kpnthings.com/ingestion/ip/senml/v1
  234 MB of data a month
  to flash a day: 68.9 MB, 74.6 MB while the platform is out of reach
  1 device sends more than the 300 messages a day of a Freemium account; with things.min_interval: 5m none would
)");
    const std::string brief = summary_text(config, {plan});
    CHECK(brief.find("plan: 2 requests") != std::string::npos);
    CHECK(brief.find("unit 1") == std::string::npos);
    CHECK(brief.find("setpoint") == std::string::npos);
    const std::string json = summary_json(config, {plan});
    CHECK(
        json.find(
            R"("plan":{"requests":2,"cycle_ms":45,"load":0.045,"lines":[{"unit":1,"first":100},{"unit":1,"first":200}]})") !=
        std::string::npos);
    CHECK(
        json.find(R"({"name":"setpoint","unit":"Cel","source":"plc","interval_ms":10000,"writable":true})") !=
        std::string::npos);
}
