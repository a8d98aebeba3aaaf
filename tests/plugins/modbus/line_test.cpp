// SPDX-License-Identifier: Apache-2.0
#include "plugins/modbus/late_answers.hpp"
#include "support/fake_plugin_host.hpp"
#include "support/rtu_line/rtu_line.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>

// The plugin on a serial line with byte timing, and everything that goes wrong on one. The figure of each
// fault is what the healthy units still get.
using namespace things;

namespace {

using Value = FakePluginHost::Value;
using Kind = UnitFault::Kind;
using Log = std::vector<std::string>;

constexpr int healthy_registers = 4;

FakeConfig config_for(const RtuLine& line, int baud = 115200, int timeout_ms = 200) {
    FakeConfig config;
    config.source.set("port", line.path()).set("baud", baud).set("timeout", timeout_ms);
    return config;
}

// `count` devices with unit ids from 1, four registers each that hold unit x 100 + index.
void add_devices(FakeConfig& config, RtuLine& line, int count) {
    for (int unit = 1; unit <= count; ++unit) {
        const auto device = static_cast<std::uint32_t>(config.devices.size());
        config.devices.push_back(
            {"meter" + std::to_string(unit),
             FakeSettings().set("unit_id", unit).set("gap", 0).set("backoff_max", 2000)});
        line.units.add(static_cast<std::uint8_t>(unit));
        for (int i = 0; i < healthy_registers; ++i) {
            line.units.set(static_cast<std::uint8_t>(unit), 'h', static_cast<std::uint16_t>(i),
                           {static_cast<std::uint16_t>(unit * 100 + i)});
            config.points.push_back({device, "v" + std::to_string(i), FakeSettings().set("holding", i)});
        }
    }
}

// No reading may ever say what another register or unit holds.
void check_values(const FakePluginHost& host) {
    for (const FakePluginHost::Emitted& reading : host.emitted) {
        const std::uint32_t unit = reading.point / healthy_registers + 1;
        REQUIRE(reading.value == Value(std::int64_t{unit * 100 + reading.point % healthy_registers}));
    }
}

std::size_t readings_of(const FakePluginHost& host, std::uint32_t unit) {
    return static_cast<std::size_t>(
        std::count_if(host.emitted.begin(), host.emitted.end(),
                      [unit](const auto& r) { return r.point / healthy_registers + 1 == unit; }));
}

bool wait_until(const std::function<bool()>& condition) {
    const std::int64_t deadline = monotonic_ms() + 20000;
    while (!condition())
        if (monotonic_ms() > deadline)
            return false;
    return true;
}

} // namespace

TEST_CASE("a line with byte timing is read, with silence before every request") {
    for (const int baud : {9600, 19200, 115200}) {
        RtuLine line(RtuLine::Timing::of(static_cast<unsigned>(baud), 10, 2000));
        FakeConfig config = config_for(line, baud, 500);
        add_devices(config, line, 3);
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, config);
        REQUIRE(source.status == THINGS_OK);
        for (int i = 0; i < 4; ++i)
            CHECK(source.poll_all() == THINGS_OK);
        CHECK(host.emitted.size() == 48);
        CHECK(host.events.empty());
        CHECK(line.silence_violations() == 0);
        check_values(host);
    }
}

TEST_CASE("a dead unit costs its neighbours next to nothing") {
    RtuLine line(RtuLine::Timing::of(115200, 10, 2000));
    FakeConfig config = config_for(line);
    add_devices(config, line, 4);
    line.units.on_request(
        [](const UnitRequest& r) { return UnitFault{r.unit == 2 ? Kind::silent : Kind::none}; });
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    const auto rounds_in = [&source](std::vector<std::uint32_t> points, std::int64_t ms) {
        const std::int64_t begin = monotonic_ms();
        int rounds = 0;
        for (; monotonic_ms() < begin + ms; ++rounds)
            CHECK(source.poll(points) == THINGS_OK);
        return rounds;
    };
    CHECK(source.poll_all() == THINGS_OK); // learns that unit 2 is dead
    const int alone = rounds_in({0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15}, 2000);
    const int beside = rounds_in({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 2000);
    MESSAGE("rounds in 2 s: ", alone, " without the dead unit, ", beside, " beside it");
    CHECK(beside >= alone * 8 / 10);    // 0.9 is the bar on a quiet machine
    CHECK(line.units.counts()[2] <= 8); // a probe every now and then
    CHECK(host.has_event(THINGS_PROBLEM, "timeout"));
    CHECK(host.event("timeout").level == THINGS_DEVICE);
    CHECK(host.event("timeout").index == 1);
    CHECK(host.event("timeout").text.find("unit 2, holding registers 0 to 3 (40001 to 40004)") !=
          std::string::npos);
    check_values(host);
    SUBCASE("and is read again when it comes back") {
        line.units.on_request(nullptr);
        CHECK(wait_until([&] { return source.poll_all() == THINGS_OK && readings_of(host, 2) > 0; }));
        CHECK(host.has_event(THINGS_RECOVERED, "timeout"));
    }
}

TEST_CASE("a unit that falls silent among others is told as a whole, in the words for it") {
    RtuLine line(RtuLine::Timing::of(115200, 10, 1000));
    FakeConfig config = config_for(line);
    for (int unit = 1; unit <= 3; ++unit) { // four requests each, whose answers look alike
        line.units.add(static_cast<std::uint8_t>(unit));
        const auto device = static_cast<std::uint32_t>(config.devices.size());
        config.devices.push_back({"meter", FakeSettings().set("unit_id", unit).set("gap", 0)});
        for (int i = 0; i < 4; ++i)
            config.points.push_back({device, "v" + std::to_string(i),
                                     FakeSettings().set("holding", 100 * i).set("type", "uint32")});
    }
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    for (int i = 0; i < 3; ++i)
        CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.events.empty());
    line.units.on_request(
        [](const UnitRequest& r) { return UnitFault{r.unit == 2 ? Kind::silent : Kind::none}; });
    CHECK(wait_until([&] {
        static_cast<void>(source.poll_all());
        return !host.events.empty();
    }));
    for (const FakePluginHost::Event& event : host.events) {
        CHECK(event.level == THINGS_DEVICE);
        CHECK(event.index == 1);
        CHECK(event.text.find("no answer within 200 ms") != std::string::npos);
        CHECK(event.text.find("while holding") == std::string::npos);
    }
}

TEST_CASE("a unit among others that always answers late is read, and no register of it is blamed") {
    RtuLine line(RtuLine::Timing::of(115200, 10, 1000));
    FakeConfig config = config_for(line);
    add_devices(config, line, 3);
    SUBCASE("with two retries") {}
    SUBCASE("with one") {
        config.source.set("retries", 1);
    }
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    line.units.on_request([](const UnitRequest& r) {
        return UnitFault{Kind::none, std::chrono::milliseconds(r.unit == 2 ? 300 : 0)};
    });
    host.emitted.clear();
    CHECK(wait_until([&] {
        static_cast<void>(source.poll_all());
        return readings_of(host, 1) >= 10U * healthy_registers;
    }));
    CHECK(readings_of(host, 2) >= 3U * healthy_registers);
    CHECK(host.events.empty());
    check_values(host);
}

TEST_CASE("when half a line falls silent at once, the other half is not kept waiting for each of them") {
    RtuLine line(RtuLine::Timing::of(115200, 10, 1000));
    FakeConfig config = config_for(line);
    add_devices(config, line, 16);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    line.units.on_request(
        [](const UnitRequest& r) { return UnitFault{r.unit % 2 == 0 ? Kind::silent : Kind::none}; });
    std::int64_t longest = 0;
    for (int i = 0; i < 8; ++i) {
        const std::int64_t begin = monotonic_ms();
        CHECK(source.poll_all() == THINGS_OK);
        longest = std::max(longest, monotonic_ms() - begin);
    }
    MESSAGE("longest poll ", longest, " ms; eight silent units and three attempts of 200 ms each are 4800");
    CHECK(longest < 1500); // 200 + 7 x 50 to find out, 2 x 200 to make sure of one
    CHECK(readings_of(host, 1) == 9 * healthy_registers);
    check_values(host);
    CHECK(wait_until([&] { // all of them are given up in time, one by one
        static_cast<void>(source.poll_all());
        return std::count_if(host.events.begin(), host.events.end(), [](const auto& e) {
                   return e.kind == THINGS_PROBLEM && e.code == "timeout";
               }) >= 8;
    }));
    line.units.on_request(nullptr);
    CHECK(wait_until(
        [&] { return source.poll_all() == THINGS_OK && readings_of(host, 16) > healthy_registers; }));
}

TEST_CASE("an answer that comes too late is never taken for the next one") {
    for (const int delay : {70, 100, 150, 250}) {
        RtuLine line;
        check_late_answers(config_for(line, 115200, 60), line.units, delay);
    }
}

TEST_CASE("damaged, strange and doubled answers cost a retry and never make a wrong value") {
    for (const Kind kind : {Kind::damaged, Kind::garbage, Kind::other_unit, Kind::other_function,
                            Kind::short_frame, Kind::twice, Kind::long_count, Kind::echo}) {
        CAPTURE(static_cast<int>(kind));
        RtuLine line(RtuLine::Timing::of(115200, 10, 1000));
        FakeConfig config = config_for(line);
        add_devices(config, line, 3);
        line.units.on_request(
            [kind](const UnitRequest& r) { return UnitFault{r.number % 3 == 0 ? kind : Kind::none}; });
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, config);
        for (int i = 0; i < 6; ++i)
            CHECK(source.poll_all() == THINGS_OK);
        check_values(host);
        CHECK(host.emitted.size() >= 56); // of 72
    }
}

TEST_CASE("a line that echoes is read and written") {
    RtuLine line(RtuLine::Timing::of(115200, 10, 1000));
    FakeConfig config = config_for(line);
    config.devices.push_back({"meter", FakeSettings().set("gap", 0)});
    config.points.push_back({0, "v", FakeSettings().set("holding", 5), true});
    line.units.on_request([](const UnitRequest&) { return UnitFault{Kind::echo}; });
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.last(0) == Value(std::int64_t{0}));
    CHECK(source.write(0, std::int64_t{7}) == THINGS_OK);
    CHECK(line.units.get(1, 'h', 5, 1) == ModbusUnits::Words{7});
    SUBCASE("an echo without an answer is no answer, not even to a write") {
        line.units.on_request([](const UnitRequest&) { return UnitFault{Kind::silent}; });
        CHECK(source.write(0, std::int64_t{8}) == THINGS_TIMEOUT);
    }
}

TEST_CASE("noise between the frames is thrown away") {
    RtuLine line(RtuLine::Timing::of(115200, 10, 1000));
    FakeConfig config = config_for(line);
    add_devices(config, line, 2);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    for (int i = 0; i < 10; ++i) {
        line.send_noise({0x01, 0x03, 0x08, 0xFF, 0x00, 0x55});
        CHECK(source.poll_all() == THINGS_OK);
    }
    CHECK(host.emitted.size() == 80);
    check_values(host);
}

TEST_CASE("an illegal register in the middle of a run is found, left out, and costs the others nothing") {
    RtuLine line;
    FakeConfig config = config_for(line);
    config.devices.push_back({"meter", FakeSettings().set("gap", 0)});
    for (int i = 0; i < 16; ++i)
        config.points.push_back({0, "v" + std::to_string(i), FakeSettings().set("holding", i)});
    line.units.forbid(1, 'h', 5);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.emitted.size() == 15);
    CHECK(line.units.take_log().size() <= 10); // 1 + 2 log2(16) + 1
    CHECK(host.events.size() == 1);
    CHECK(host.events[0].code == "illegal_address");
    CHECK(host.events[0].level == THINGS_POINT);
    CHECK(host.events[0].index == 5);
    CHECK(host.events[0].text.find("unit 1, holding register 5 (40006)") != std::string::npos);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(line.units.take_log() == Log{"1 3 0+5", "1 3 6+10"});
    CHECK(host.emitted.size() == 30);
}

TEST_CASE("a device that gives fewer registers at a time is read in parts from then on") {
    RtuLine line;
    FakeConfig config = config_for(line);
    config.devices.push_back({"meter", FakeSettings().set("gap", 0)});
    for (int i = 0; i < 32; ++i)
        config.points.push_back({0, "v" + std::to_string(i), FakeSettings().set("holding", i)});
    line.units.limit(10);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.emitted.size() == 32);
    line.units.take_log();
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(line.units.take_log().size() == 4);
    CHECK(host.events.empty());
}

TEST_CASE("each exception has its own words") {
    const std::pair<int, const char*> codes[] = {
        {1, "illegal_function"}, {2, "illegal_address"}, {3, "illegal_value"},
        {4, "device_failure"},   {5, "acknowledge"},     {6, "busy"},
        {8, "memory_parity"},    {10, "gateway_path"},   {11, "gateway_target"}};
    for (const auto& [number, word] : codes) {
        RtuLine line;
        FakeConfig config = config_for(line);
        config.source.set("retries", 0);
        add_devices(config, line, 2);
        const auto code = static_cast<std::uint8_t>(number);
        line.units.on_request([code](const UnitRequest& r) {
            return r.unit == 2 ? UnitFault{Kind::exception, std::chrono::milliseconds(0), code} : UnitFault{};
        });
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, config);
        CHECK(source.poll_all() == THINGS_OK);
        CHECK(readings_of(host, 1) == 4);
        REQUIRE(host.has_event(THINGS_PROBLEM, word));
        CHECK(host.event(word).text.find("exception " + std::to_string(number)) != std::string::npos);
        CHECK(host.event(word).text.find("unit 2, holding register") != std::string::npos);
    }
}

TEST_CASE("an adapter that is pulled out and put back is used again") {
    RtuLine line;
    FakeConfig config = config_for(line);
    add_devices(config, line, 2);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    for (int i = 0; i < 3; ++i) {
        line.pull();
        CHECK(source.poll_all() == THINGS_FAILED);
        CHECK(source.poll_all() == THINGS_FAILED);
        CHECK(host.has_event(THINGS_PROBLEM, "port_missing"));
        line.put_back();
        const std::int64_t back = monotonic_ms();
        host.events.clear();
        CHECK(wait_until([&] { return source.poll_all() == THINGS_OK; }));
        CHECK(monotonic_ms() - back < 2000);
        CHECK(host.has_event(THINGS_RECOVERED, "port_missing"));
    }
    check_values(host);
}

TEST_CASE("a port that another program holds is not shared") {
    RtuLine line;
    FakeConfig config = config_for(line);
    add_devices(config, line, 1);
    FakePluginHost first, second;
    FakeSource owner(*things_plugin_entry(), first, config);
    CHECK(owner.poll_all() == THINGS_OK);
    FakeSource intruder(*things_plugin_entry(), second, config);
    CHECK(intruder.poll_all() == THINGS_FAILED);
    CHECK(second.has_event(THINGS_PROBLEM, "port_busy"));
}

TEST_CASE("a poll gives way to a command") {
    RtuLine line;
    FakeConfig config = config_for(line);
    add_devices(config, line, 4);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    host.emitted.clear();
    line.units.on_request([&host](const UnitRequest& r) {
        if (r.unit == 2)
            host.interrupt = true;
        return UnitFault{};
    });
    CHECK(source.poll_all() == THINGS_INTERRUPTED);
    CHECK(host.emitted.size() == 8);
}
