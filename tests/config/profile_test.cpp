// SPDX-License-Identifier: Apache-2.0
#include "support/config_files.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace things;

namespace {

const std::string own_profile = R"(profiles:
  meter:
    plugin: modbus
    device: {max_registers: 10, pause: 60ms, interval: 30s, unit_id: 5}
    points:
      - {name: power, unit: W, input: 12, type: float32}
      - {name: energyImport, unit: Wh, input: 72, type: float32, scale: 1000, interval: 5m}
      - {name: frequency, unit: Hz, input: 70, type: float32}
sources:
  plc: {plugin: modbus, host: 192.0.2.20}
devices:
  - name: main
    dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40
    secret: abcdefghijklmnopqrstuvwxyzABCD
    source: plc
    profile: meter
)";

std::map<std::string, const PointConfig*> by_name(const DeviceConfig& device) {
    std::map<std::string, const PointConfig*> points;
    for (const PointConfig& point : device.points)
        points[point.name] = &point;
    return points;
}

std::string settings_of(const std::vector<Setting>& settings) {
    std::string out;
    for (const Setting& setting : settings) {
        out += setting.key + "=";
        if (const auto* whole = std::get_if<std::int64_t>(&setting.value))
            out += std::to_string(*whole);
        if (const auto* text = std::get_if<std::string>(&setting.value))
            out += *text;
        out += " ";
    }
    return out;
}

} // namespace

TEST_CASE("a device takes points and settings of its profile") {
    ConfigFiles files;
    const Loaded loaded = files.load(own_profile);
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    const DeviceConfig& device = loaded.config->devices[0];
    CHECK(device.points.size() == 3);
    CHECK(device.interval == seconds(30));
    CHECK(settings_of(device.settings) == "max_registers=10 pause=60 unit_id=5 ");
    CHECK(by_name(device)["power"]->interval == seconds(30));
    CHECK(by_name(device)["energyImport"]->interval == minutes(5));
}

TEST_CASE("a device adds, overrides key by key, and leaves out") {
    ConfigFiles files;
    const Loaded loaded = files.load(own_profile + R"(    unit_id: 7
    interval: 10s
    without: [frequency]
    points:
      - {name: power, holding: 20, unit: kW}
      - {name: extra, coil: 1}
)");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    const DeviceConfig& device = loaded.config->devices[0];
    CHECK(device.interval == seconds(10));
    CHECK(settings_of(device.settings) == "max_registers=10 pause=60 unit_id=7 ");
    REQUIRE(device.points.size() == 3);
    CHECK(device.points[0].name == "power");
    CHECK(device.points[0].unit == "kW");
    CHECK(settings_of(device.points[0].settings) == "type=float32 holding=20 ");
    CHECK(device.points[1].name == "energyImport");
    CHECK(device.points[2].name == "extra");
}

TEST_CASE("a device keeps only what it names, and what it overrides") {
    ConfigFiles files;
    const Loaded loaded =
        files.load(own_profile + "    only: [power]\n    points: [{name: frequency, interval: 1h}]\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    const DeviceConfig& device = loaded.config->devices[0];
    REQUIRE(device.points.size() == 2);
    CHECK(device.points[0].name == "power");
    CHECK(device.points[1].interval == hours(1));
}

TEST_CASE("null takes a key of the profile away") {
    ConfigFiles files;
    const Loaded loaded =
        files.load(own_profile + "    points: [{name: energyImport, scale: null, unit: kWh}]\n");
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(settings_of(by_name(loaded.config->devices[0])["energyImport"]->settings) ==
          "input=72 type=float32 ");
}

TEST_CASE("a profile file is found in the directories, the first one wins, and one in the configuration wins "
          "over it") {
    ConfigFiles files;
    files.write("profiles/meter.yaml", "plugin: modbus\npoints: [{name: a, holding: 1}]\n");
    files.write("more/meter.yaml", "plugin: modbus\npoints: [{name: b, holding: 1}]\n");
    files.options.profile_directories = {files.folder() / "profiles", files.folder() / "more"};
    const std::string without_own = own_profile.substr(own_profile.find("sources:"));
    const Loaded from_file = files.load(without_own);
    REQUIRE_MESSAGE(from_file.config, files.problems(from_file));
    CHECK(from_file.config->devices[0].points[0].name == "a");
    const Loaded from_own = files.load(own_profile);
    REQUIRE(from_own.config);
    CHECK(from_own.config->devices[0].points[0].name == "power");
}

TEST_CASE("a mistake in a profile is told once, however many devices use it") {
    ConfigFiles files;
    files.write("profiles/meter.yaml", "plugin: modbus\npoints: [{name: a, holdin: 1}]\n");
    const std::string without_own = own_profile.substr(own_profile.find("sources:"));
    const Loaded loaded = files.load(without_own + R"(  - name: second
    dvnuuid: 0d9c1a52-8d4f-4f0e-9a55-1b7a2f6c9e10
    secret: abcdefghijklmnopqrstuvwxyzABCD
    source: plc
    profile: meter
)");
    CHECK(files.problems(loaded) ==
          "profiles/meter.yaml:2:20: error: unknown key \"holdin\" in point; did you mean \"holding\"?\n");
}

TEST_CASE("every shipped profile loads without a complaint") {
    const std::filesystem::path shipped = std::filesystem::path(THINGS_SOURCE) / "etc" / "profiles";
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(shipped)) {
        if (entry.path().extension() != ".yaml")
            continue;
        const std::string name = entry.path().stem().string();
        CAPTURE(name);
        ConfigFiles files;
        files.options.profile_directories = {shipped};
        const std::string plugin = name.rfind("dsmr", 0) == 0 ? "p1" : "modbus";
        const Loaded loaded = files.load("sources:\n  line: {plugin: " + plugin + R"(, port: /dev/ttyUSB0}
devices:
  - name: meter
    dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40
    secret: abcdefghijklmnopqrstuvwxyzABCD
    source: line
    profile: )" + name + "\n");
        CHECK(files.problems(loaded) == "");
        if (loaded.config)
            CHECK_FALSE(loaded.config->devices[0].points.empty());
        ++count;
    }
    CHECK(count >= 125);
}
