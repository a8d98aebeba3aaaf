// SPDX-License-Identifier: Apache-2.0
#include "config/loader.hpp"

#include "support/config_files.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

const Setting* find_setting(const std::vector<Setting>& settings, const std::string& key) {
    for (const Setting& setting : settings)
        if (setting.key == key)
            return &setting;
    return nullptr;
}

} // namespace

TEST_CASE("the example of the design loads with every value") {
    ConfigFiles files;
    files.write("secrets/boiler", "abcdefghijklmnopqrstuvwxyzABCD\n");
    const Loaded loaded = files.load(R"(
things: {parallel: 4, retry: {initial: 2s, max: 30s}, ca_file: ca.pem}
batch: {max_age: 30s, max_bytes: 64KiB}
queue: {path: q.db, max_size: 16MB, when_full: drop_newest, max_age: 7d, keep_removed: false}
time: {require_sync: false, unsynced: hold}
web: null
log: {level: debug}
sources:
  plc: {plugin: modbus, host: 192.0.2.20, tcp_port: 502, timeout: 500ms, writes: false, isolation: process}
devices:
  - name: boiler
    dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40
    secret: {file: secrets/boiler}
    source: plc
    unit_id: 7
    profile: null
    interval: 10s
    commands: each
    points:
      - {name: temperature, unit: Cel, holding: 100, type: int16, scale: 0.1}
      - {name: energy, unit: Wh, input: 0x156, type: float32, order: CDAB, interval: 1m}
      - {name: pump, coil: 3, writable: true}
      - name: setpoint
        unit: Cel
        holding: 200
        type: float32
        writable: {min: 5, max: 30, max_step: 5, ttl: 90s, allowed: [10, 20.5], revert: {after: 1h, to: 20.5}, outcome: result}
      - {name: mode, holding: 300, labels: {0: off, 1: "on"}, report: {on_change: true, heartbeat: 1h}, unit_id: 9}
      - {name: average, holding: 301, invalid: [0xFFFF, -1], report: {aggregate: mean, window: 5m}}
)");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(files.problems(loaded).empty());
    const Config& config = *loaded.config;
    CHECK(config.things.parallel == 4);
    CHECK(config.things.retry_initial == seconds(2));
    CHECK(config.things.ca_file == (files.folder() / "ca.pem").string());
    CHECK(config.batch.max_age == seconds(30));
    CHECK(config.batch.max_bytes == 65536);
    CHECK(config.queue.path == files.folder() / "q.db");
    CHECK(config.queue.max_size == 16'000'000);
    CHECK(config.queue.when_full == WhenFull::drop_newest);
    CHECK(config.queue.max_age == hours(7 * 24));
    CHECK_FALSE(config.keep_removed);
    CHECK_FALSE(config.time.require_sync);
    CHECK(config.time.unsynced == Unsynced::hold);
    CHECK_FALSE(config.web.on);
    CHECK(config.log_level == LogLevel::debug);
    REQUIRE(config.sources.size() == 1);
    CHECK(config.sources[0].isolation == Isolation::process);
    CHECK_FALSE(config.sources[0].writes);
    CHECK(find_setting(config.sources[0].settings, "timeout")->value == Scalar(std::int64_t{500}));
    REQUIRE(config.devices.size() == 1);
    const DeviceConfig& device = config.devices[0];
    CHECK(device.secret.reveal() == "abcdefghijklmnopqrstuvwxyzABCD");
    CHECK(device.commands == CommandMode::each);
    CHECK(find_setting(device.settings, "unit_id")->value == Scalar(std::int64_t{7}));
    REQUIRE(device.points.size() == 6);
    CHECK(device.points[0].interval == seconds(10));
    CHECK(device.points[1].interval == minutes(1));
    CHECK(find_setting(device.points[1].settings, "input")->value == Scalar(std::int64_t{0x156}));
    CHECK(device.points[2].writable == Writable{});
    const Writable& limits = *device.points[3].writable;
    CHECK(limits.min == 5.0);
    CHECK(limits.ttl == seconds(90));
    CHECK(limits.allowed == std::vector<Value>{std::int64_t{10}, 20.5});
    CHECK(limits.revert == Revert{hours(1), Value(20.5)});
    CHECK(limits.outcome == "result");
    CHECK(device.points[4].labels ==
          std::vector<std::pair<std::int64_t, std::string>>{{0, "off"}, {1, "on"}});
    CHECK(device.points[4].report == Report{true, 0, hours(1), Aggregate::none, Milliseconds(0)});
    CHECK(find_setting(device.points[4].settings, "unit_id")->value == Scalar(std::int64_t{9}));
    CHECK(find_setting(device.points[5].settings, "invalid")->items ==
          std::vector<Scalar>{std::int64_t{0xFFFF}, std::int64_t{-1}});
    CHECK(device.points[5].report.aggregate == Aggregate::mean);
}

TEST_CASE("all mistakes are found in one run, in the order of the file") {
    ConfigFiles files;
    const Loaded loaded = files.load(R"(batch: {max_aeg: 10s}
sources:
  plc: {plugin: modbus, host: 192.0.2.20, parity: evn}
devices:
  - name: boiler
    dvnuuid: 6f1c2b9e
    secret: short
    source: pcl
    points: [{name: a b, holding: 1, unit: celsius}]
)");
    CHECK_FALSE(loaded.config);
    CHECK(files.problems(loaded) ==
          R"(gateway.yaml:1:9: error: unknown key "max_aeg" in batch; did you mean "max_age"?
gateway.yaml:3:51: error: parity: expected one of none, even, odd, got "evn"; did you mean "even"?
gateway.yaml:6:14: error: dvnuuid: "6f1c2b9e" is not of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx; copy it from the Portal
gateway.yaml:7:13: error: secret: it has 5 characters, 30 to 100 are allowed; copy it again from the Portal
gateway.yaml:8:13: error: there is no source "pcl"; did you mean "plc"?
gateway.yaml:9:21: error: name "a b": only letters, digits and -:./_ are allowed; write "a_b" for example
gateway.yaml:9:44: error: unit "celsius" is not in the SenML registry; did you mean "Cel"?
)");
}

TEST_CASE("the page may be served on a socket alone, and under further names") {
    ConfigFiles files;
    const Loaded loaded =
        files.load("web: {listen: null, socket: web.sock, names: [gateway.example.nl, gw-7]}\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->web.on);
    CHECK(loaded.config->web.address.empty());
    CHECK(loaded.config->web.socket.filename() == "web.sock");
    CHECK(loaded.config->web.names == std::vector<std::string>{"gateway.example.nl", "gw-7"});
    CHECK_FALSE(files.load("web: {listen: null}\n").config->web.on);
    CHECK(files.problems(files.load("web: {names: ['https://gw']}\n")).find("is no host name") !=
          std::string::npos);
}
