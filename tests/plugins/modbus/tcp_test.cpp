// SPDX-License-Identifier: Apache-2.0
#include "plugins/modbus/late_answers.hpp"
#include "support/fake_plugin_host.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

// Modbus TCP, and RTU frames over TCP, with the faults that networks and servers have.
using namespace things;

namespace {

using Value = FakePluginHost::Value;
using Kind = UnitFault::Kind;
using Log = std::vector<std::string>;

FakeConfig config_for(int port, int units = 1) {
    FakeConfig config;
    config.source.set("host", "127.0.0.1").set("tcp_port", port).set("timeout", 100);
    for (int unit = 1; unit <= units; ++unit) {
        const auto device = static_cast<std::uint32_t>(config.devices.size());
        config.devices.push_back({"unit" + std::to_string(unit),
                                  FakeSettings().set("unit_id", unit).set("gap", 0).set("backoff_max", 500)});
        config.points.push_back({device, "a", FakeSettings().set("holding", 10)});
        config.points.push_back({device, "b", FakeSettings().set("holding", 500)});
    }
    return config;
}

void fill(ModbusUnits& units, int count) {
    for (int unit = 1; unit <= count; ++unit) {
        const auto id = static_cast<std::uint8_t>(unit);
        units.add(id);
        units.set(id, 'h', 10, {static_cast<std::uint16_t>(unit * 100 + 1)});
        units.set(id, 'h', 500, {static_cast<std::uint16_t>(unit * 100 + 2)});
    }
}

void check_values(const FakePluginHost& host) {
    for (const FakePluginHost::Emitted& reading : host.emitted)
        REQUIRE(reading.value == Value(std::int64_t{(reading.point / 2 + 1) * 100 + reading.point % 2 + 1}));
}

std::size_t open_files() {
    const auto files = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

bool wait_until(const std::function<bool()>& condition) {
    const std::int64_t deadline = monotonic_ms() + 20000;
    while (!condition())
        if (monotonic_ms() > deadline)
            return false;
    return true;
}

} // namespace

TEST_CASE("answers that do not fit are never taken for a value, over TCP and RTU over TCP") {
    for (const bool rtu : {false, true})
        for (const Kind kind : {Kind::silent, Kind::damaged, Kind::other_unit, Kind::other_function,
                                Kind::short_frame, Kind::twice, Kind::long_count, Kind::bad_transaction,
                                Kind::bad_length, Kind::split, Kind::close}) {
            CAPTURE(static_cast<int>(kind));
            TcpDevice device(rtu);
            fill(device.units, 3);
            FakeConfig config = config_for(device.port(), 3);
            config.source.set("framing", rtu ? "rtu" : "tcp");
            FakePluginHost host;
            FakeSource source(*things_plugin_entry(), host, config);
            CHECK(source.poll_all() == THINGS_OK);
            device.units.on_request([kind, rtu](const UnitRequest& r) {
                const bool damage = kind == Kind::damaged && !rtu; // TCP has no checksum of its own
                return UnitFault{r.number % 5 == 0 && !damage ? kind : Kind::none};
            });
            for (int i = 0; i < 6; ++i)
                static_cast<void>(source.poll_all());
            device.units.on_request(nullptr);
            host.emitted.clear();
            CHECK(wait_until([&] { return source.poll_all() == THINGS_OK && host.emitted.size() >= 6; }));
            check_values(host);
        }
}

TEST_CASE("a late answer is never taken for the next one, over TCP and RTU over TCP") {
    for (const bool rtu : {false, true})
        for (const int delay : {100, 250}) {
            CAPTURE(rtu);
            CAPTURE(delay);
            TcpDevice device(rtu);
            FakeConfig config = config_for(device.port(), 0);
            config.source.set("framing", rtu ? "rtu" : "tcp").set("timeout", 60);
            check_late_answers(config, device.units, delay);
        }
}

TEST_CASE("a server that restarts, and one that closes idle connections, cost nothing") {
    auto device = std::make_unique<TcpDevice>();
    const int port = device->port();
    fill(device->units, 1);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(port));
    CHECK(source.poll_all() == THINGS_OK);
    device->drop_all();
    CHECK(source.poll_all() == THINGS_OK); // connected again within the call
    CHECK(host.emitted.size() == 4);
    CHECK(device->accepted() == 2);
    device.reset();
    CHECK(source.poll_all() == THINGS_FAILED);
    CHECK(source.poll_all() == THINGS_FAILED);
    CHECK(host.has_event(THINGS_PROBLEM, "refused"));
    device = std::make_unique<TcpDevice>(false, 4096, static_cast<std::uint16_t>(port));
    fill(device->units, 1);
    CHECK(wait_until([&] { return source.poll_all() == THINGS_OK; }));
    CHECK(host.has_event(THINGS_RECOVERED, "refused"));
    check_values(host);
}

TEST_CASE("a connection that swallows everything is given up and made anew") {
    TcpDevice device;
    fill(device.units, 1);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(device.port()));
    CHECK(source.poll_all() == THINGS_OK);
    device.mute(true);
    const int before = device.accepted();
    CHECK(wait_until([&] {
        static_cast<void>(source.poll_all());
        return device.accepted() > before;
    }));
    CHECK(host.has_event(THINGS_PROBLEM, "timeout"));
    device.mute(false);
    host.emitted.clear();
    CHECK(wait_until([&] { return source.poll_all() == THINGS_OK && host.emitted.size() >= 2; }));
    check_values(host);
}

TEST_CASE("a device that allows one client only is used by one connection") {
    TcpDevice device(false, 1);
    fill(device.units, 1);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(device.port()));
    for (int i = 0; i < 20; ++i)
        CHECK(source.poll_all() == THINGS_OK);
    CHECK(device.accepted() == 1);
    FakePluginHost second_host;
    FakeSource second(*things_plugin_entry(), second_host, config_for(device.port()));
    CHECK(second.poll_all() == THINGS_FAILED);
    CHECK(second_host.has_event(THINGS_PROBLEM, "closed"));
    CHECK(second_host.events[0].text.find("one client only") != std::string::npos);
}

TEST_CASE("dead units behind one connection do not stop the others") {
    TcpDevice device;
    fill(device.units, 8);
    device.units.on_request(
        [](const UnitRequest& r) { return UnitFault{r.unit % 2 == 0 ? Kind::silent : Kind::none}; });
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(device.port(), 8));
    static_cast<void>(source.poll_all());
    static_cast<void>(source.poll_all());
    host.emitted.clear();
    const std::int64_t begin = monotonic_ms();
    for (int i = 0; i < 20; ++i)
        CHECK(source.poll_all() == THINGS_OK);
    CHECK(monotonic_ms() - begin < 1000); // one probe of 100 ms at most each 1.2 s
    CHECK(host.emitted.size() == 20 * 8);
    CHECK(device.accepted() <= 3);
    check_values(host);
}

TEST_CASE("no file is leaked by a hundred reconnects") {
    TcpDevice device;
    fill(device.units, 1);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(device.port()));
    CHECK(source.poll_all() == THINGS_OK);
    const std::size_t before = open_files();
    for (int i = 0; i < 100; ++i) {
        device.drop_all();
        CHECK(source.poll_all() == THINGS_OK);
    }
    CHECK(open_files() == before);
}

TEST_CASE("hosts are found by name, and a name that does not exist is said so") {
    TcpDevice device;
    fill(device.units, 1);
    FakeConfig config = config_for(device.port());
    config.source = FakeSettings().set("host", "plc.test").set("tcp_port", device.port());
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    config.source = FakeSettings().set("host", "no-such-host.invalid").set("connect_timeout", 1000);
    FakePluginHost other;
    FakeSource nowhere(*things_plugin_entry(), other, config);
    CHECK(nowhere.poll_all() == THINGS_FAILED);
    CHECK(other.has_event(THINGS_PROBLEM, "unknown_host"));
}

TEST_CASE("a gap is crossed once the device was seen to allow it") {
    TcpDevice device;
    fill(device.units, 1);
    FakeConfig config = config_for(device.port());
    config.devices[0].settings = FakeSettings();
    config.points[1].settings = FakeSettings().set("holding", 14);
    device.units.set(1, 'h', 14, {102});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    SUBCASE("it does") {
        CHECK(wait_until([&] {
            device.units.take_log();
            return source.poll_all() == THINGS_OK && device.units.take_log() == Log{"1 3 10+5"};
        }));
    }
    SUBCASE("it does not") {
        device.units.forbid(1, 'h', 12);
        for (int i = 0; i < 12; ++i)
            CHECK(source.poll_all() == THINGS_OK);
        device.units.take_log();
        CHECK(source.poll_all() == THINGS_OK);
        CHECK(device.units.take_log() == Log{"1 3 10+1", "1 3 14+1"});
    }
    CHECK(host.events.empty());
    check_values(host);
}

TEST_CASE("a factor is read in the same request as its value") {
    TcpDevice device;
    device.units.set(1, 'h', 40, {2305, 0, 0xFFFF});
    FakeConfig config = config_for(device.port(), 1);
    config.points = {{0, "v", FakeSettings().set("holding", 40).set("scale_from", 42), true}};
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(device.units.take_log() == Log{"1 3 40+3"});
    CHECK(host.last(0) == Value(230.5));
    CHECK(source.write(0, 12.3) == THINGS_OK);
    CHECK(device.units.get(1, 'h', 40, 1) == ModbusUnits::Words{123});
    device.units.set(1, 'h', 42, {0x8000});
    host.emitted.clear();
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.emitted.empty());
    CHECK(host.has_event(THINGS_PROBLEM, "no_value"));
}

TEST_CASE("SunSpec points are found by walking the models") {
    TcpDevice device;
    device.units.set(1, 'h', 40000, {0x5375, 0x6E53, 1, 66});
    device.units.set(1, 'h', 40004, {0x4672, 0x6F6E, 0x6975, 0x7300});
    device.units.set(1, 'h', 40070, {103, 50});
    device.units.set(1, 'h', 40070 + 14, {0xFF9C, 1});         // W -100, factor 10
    device.units.set(1, 'h', 40070 + 16, {5001, 0xFFFE});      // Hz 50.01
    device.units.set(1, 'h', 40070 + 24, {0x0001, 0x0000, 0}); // WH
    device.units.set(1, 'h', 40070 + 33, {0x8000});            // TmpCab: not there
    device.units.set(1, 'h', 40122, {160, 48});
    device.units.set(1, 'h', 40122 + 2, {0xFFFF, 0, 1});
    device.units.set(1, 'h', 40122 + 10 + 20 + 9, {77, 400, 123}); // module 2: DCA, DCV, DCW
    device.units.set(1, 'h', 40172, {0xFFFF, 0});
    FakeConfig config = config_for(device.port(), 1);
    config.points.clear();
    for (const char* name :
         {"1.Mn", "103.W", "103.Hz", "103.WH", "103.TmpCab", "160.2.DCW", "160.2.DCA", "203.W"})
        config.points.push_back({0, name, FakeSettings().set("sunspec", name)});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.last(0) == Value(std::string("Fronius")));
    CHECK(host.last(1) == Value(std::int64_t{-1000}));
    CHECK(host.last(2) == Value(50.01));
    CHECK(host.last(3) == Value(std::int64_t{65536}));
    CHECK(host.last(4) == Value());
    CHECK(host.last(5) == Value(std::int64_t{1230}));
    CHECK(host.last(6) == Value(7.7));
    CHECK(host.has_event(THINGS_PROBLEM, "sunspec_model"));
    device.units.take_log();
    CHECK(source.poll_all() == THINGS_OK);
    for (const std::string& request : device.units.take_log())
        CHECK(request != "1 3 40000+2"); // found once
}

TEST_CASE(
    "a SunSpec device that is busy, failing or silent for now is no device without SunSpec or a model") {
    TcpDevice device;
    std::atomic<bool> is_away{true};
    const std::map<std::uint8_t, std::uint8_t> codes{{1, 4}, {2, 6}, {3, 11}, {4, 4}}; // by unit
    device.units.on_request([&](const UnitRequest& r) {
        const bool is_hit = r.unit != 4 || r.address == 40004; // unit 4 tells half of its models
        return UnitFault{is_away && is_hit ? Kind::exception : Kind::none, {}, codes.at(r.unit)};
    });
    FakeConfig config = config_for(device.port(), 4);
    config.points.clear();
    for (std::uint8_t unit = 1; unit <= 4; ++unit) {
        device.units.add(unit);
        device.units.set(unit, 'h', 40000, {0x5375, 0x6E53, 1, 0});
        device.units.set(unit, 'h', 40004, {103, 50});
        device.units.set(unit, 'h', 40004 + 16, {5001, 0xFFFE}); // Hz 50.01
        device.units.set(unit, 'h', 40056, {0xFFFF, 0});
        config.points.push_back({unit - 1U, "Hz", FakeSettings().set("sunspec", "103.Hz")});
    }
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.event("gateway_target").level == THINGS_DEVICE);
    CHECK(host.event("gateway_target").index == 2);
    for (const auto& event : host.events) {
        CHECK(event.text.find("is this a SunSpec device") == std::string::npos);
        CHECK(event.text.find("has no model") == std::string::npos);
    }
    is_away = false;
    for (std::uint32_t point = 0; point < 4; ++point)
        CHECK(wait_until([&] { return source.poll_all() == THINGS_OK && host.last(point) == Value(50.01); }));
}

TEST_CASE("a scan finds units, registers and the meaning of words") {
    TcpDevice device;
    fill(device.units, 3);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(device.port()));
    CHECK(source.discover(FakeSettings().set("from", 1).set("to", 6).set("timeout", 400)) == THINGS_OK);
    REQUIRE(host.found.size() == 3);
    CHECK(host.found[2].find("{\"unit\":3,\"answer\":\"value\"") == 0);
    CHECK(host.progress == 1.0);
    host.found.clear();
    CHECK(source.discover(FakeSettings().set("units", "2-9").set("timeout", 400)) == THINGS_OK);
    CHECK(source.discover(FakeSettings().set("units", 3).set("timeout", 400)) == THINGS_OK);
    CHECK(host.found.size() == 3);
    for (const char* bad : {"2-", "-9", "2..9", "9-2", "2-9x", ""})
        CHECK(source.discover(FakeSettings().set("units", bad)) == THINGS_INVALID);
    host.found.clear();
    for (std::uint16_t address = 0; address < 200; ++address)
        if (address < 7 || (address > 20 && address < 100) || address > 140)
            device.units.forbid(2, 'h', address);
    CHECK(source.discover(FakeSettings().set("unit", 2).set("table", "holding").set("to", 199)) == THINGS_OK);
    CHECK(host.found == Log{R"({"unit":2,"table":"holding","first":7,"last":20,"count":14})",
                            R"({"unit":2,"table":"holding","first":100,"last":140,"count":41})"});
    host.found.clear();
    device.units.set(1, 'h', 30, {0x6666, 0x41AA});
    CHECK(source.discover(FakeSettings().set("unit", 1).set("explain", 30).set("count", 2)) == THINGS_OK);
    CHECK(std::count(host.found.begin(), host.found.end(),
                     R"({"type":"float32","order":"CDAB","value":21.3,"plausible":true})") == 1);
    CHECK(source.discover(FakeSettings().set("unit", 1).set("explain", 0).set("count", 125)) == THINGS_OK);
    CHECK(device.units.take_log().back() == "1 3 0+125");
    CHECK(source.poll_all() == THINGS_OK);
}

TEST_CASE("a table that a unit does not have ends its part of a scan") {
    TcpDevice device;
    device.units.lack(4);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config_for(device.port()));
    CHECK(source.discover(FakeSettings().set("unit", 1).set("table", "input")) == THINGS_OK);
    CHECK(host.found.empty());
    CHECK(host.progress == 1.0);
}

TEST_CASE("the plan says what will be read and how long it takes") {
    FakeConfig config;
    config.source.set("port", "/dev/none").set("baud", 9600);
    config.devices.push_back({"meter", FakeSettings().set("unit_id", 5).set("gap", 0)});
    config.points.push_back({0, "a", FakeSettings().set("holding", 0).set("type", "float32"), false, 10000});
    config.points.push_back({0, "b", FakeSettings().set("holding", 2), false, 1000});
    config.points.push_back({0, "c", FakeSettings().set("coil", 2), false, 1000});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.plan() == THINGS_OK);
    REQUIRE(host.found.size() == 3);
    CHECK(host.found[0] == R"({"device":"meter","unit":5,"table":"coil","first":2,"count":1,"points":["c"],)"
                           R"("bytes":14,"ms":26.875,"interval_ms":1000})");
    CHECK(host.found[1] ==
          R"({"device":"meter","unit":5,"table":"holding","first":0,"count":3,"points":["a","b"],)"
          R"("bytes":19,"ms":32.083,"interval_ms":1000})");
    CHECK(host.found[2] == R"({"cycle_ms":58.958,"load":0.059,"requests":2})");
}

TEST_CASE("with RTU frames nothing is read from the broadcast address") {
    for (const char* framing : {"rtu", "tcp"}) {
        CAPTURE(std::string(framing));
        FakeConfig config;
        config.source.set("host", "127.0.0.1").set("framing", framing);
        config.devices.push_back({"meter", FakeSettings().set("unit_id", 0)});
        config.points.push_back({0, "p", FakeSettings().set("holding", 1)});
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, config);
        CHECK(source.status == (std::string(framing) == "rtu" ? THINGS_INVALID : THINGS_OK));
    }
}

TEST_CASE("mistakes in the settings are named with their key") {
    FakeConfig config;
    config.source.set("host", "127.0.0.1");
    config.devices.push_back({"meter", FakeSettings()});
    const auto point = [&config](const FakeSettings& settings, bool writable = false) {
        config.points.push_back({0, "p", settings, writable});
    };
    point(FakeSettings().set("entity", "50001"));
    point(FakeSettings().set("coil", 1).set("type", "int16"));
    point(FakeSettings().set("holding", 1).set("bit", 16));
    point(FakeSettings().set("holding", 1).set("type", "string"));
    point(FakeSettings().set("input", 1), true);
    point(FakeSettings().set("holding", 65535).set("type", "int32"));
    point(FakeSettings().set("sunspec", "103.Nonsense"));
    point(FakeSettings().set("holding", 1).list("invalid", {std::int64_t{70000}}));
    point(FakeSettings().set("holding", 1).set("scale", 0.0));
    point(FakeSettings().set("holding", 1).set("scale_from", 400));
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.status == THINGS_INVALID);
    std::vector<std::string> keys;
    for (const auto& problem : host.problems)
        keys.push_back(std::to_string(problem.index) + " " + problem.key);
    CHECK(keys == Log{"0 entity", "1 type", "2 bit", "3 type", "4 writable", "5 holding", "6 sunspec",
                      "7 invalid", "8 scale", "9 scale_from"});
}
