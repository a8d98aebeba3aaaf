// SPDX-License-Identifier: Apache-2.0
#include "support/fake_plugin_host.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

// The plugin against a Modbus TCP server: what is asked of the device, and what comes out.
using namespace things;

namespace {

using Value = FakePluginHost::Value;
using Log = std::vector<std::string>;

FakeConfig config_for(const TcpDevice& device) {
    FakeConfig config;
    config.source.set("host", "127.0.0.1").set("tcp_port", device.port()).set("timeout", 300);
    config.devices.push_back({"boiler", FakeSettings().set("gap", 0)});
    return config;
}

FakeSettings at(const char* table, int address) {
    return FakeSettings().set(table, address);
}

} // namespace

TEST_CASE("neighbouring points are read in one request and far ones are not") {
    TcpDevice device;
    device.units.set(1, 'h', 100, {215, 0x41AA, 0x6666});
    device.units.set(1, 'h', 500, {7});
    FakeConfig config = config_for(device);
    config.points.push_back({0, "t", at("holding", 100).set("type", "int16").set("scale", 0.1)});
    config.points.push_back({0, "f", at("holding", 101).set("type", "float32")});
    config.points.push_back({0, "far", at("holding", 500)});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.last(0) == Value(21.5));
    CHECK(host.last(1) == Value(21.3));
    CHECK(host.last(2) == Value(std::int64_t{7}));
    CHECK(device.units.take_log() ==
          Log{"1 3 500+1", "1 3 100+3"}); // the shortest finds out whether it is there
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(device.units.take_log() == Log{"1 3 100+3", "1 3 500+1"});
}

TEST_CASE("a point that is read alone comes with its words, since somebody may look at them") {
    TcpDevice device;
    device.units.set(1, 'h', 101, {0x41AA, 0x6666});
    FakeConfig config = config_for(device);
    config.points.push_back({0, "f", at("holding", 101).set("type", "float32")});
    config.points.push_back({0, "word", at("holding", 101)});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll({0}) == THINGS_OK);
    REQUIRE(host.emitted.size() == 1);
    CHECK(host.emitted[0].raw == "0x41AA 0x6666");
    CHECK(source.poll_all() == THINGS_OK);
    REQUIRE(host.emitted.size() == 3);
    CHECK(host.emitted[1].raw.empty());
}

TEST_CASE("all four tables and both notations of an address") {
    TcpDevice device;
    device.units.set(1, 'c', 3, {1});
    device.units.set(1, 'd', 7, {1});
    device.units.set(1, 'i', 9, {42});
    device.units.set(1, 'h', 100, {43});
    FakeConfig config = config_for(device);
    config.points.push_back({0, "coil", at("coil", 3)});
    config.points.push_back({0, "discrete", at("discrete", 7)});
    config.points.push_back({0, "input", FakeSettings().set("entity", "30010")});
    config.points.push_back({0, "holding", FakeSettings().set("entity", 40101)});
    config.points.push_back({0, "coil2", FakeSettings().set("entity", "00005")});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.last(0) == Value(true));
    CHECK(host.last(1) == Value(true));
    CHECK(host.last(2) == Value(std::int64_t{42}));
    CHECK(host.last(3) == Value(std::int64_t{43}));
    CHECK(host.last(4) == Value(false));
}

TEST_CASE("the order of words is the device's, unless the point has its own") {
    TcpDevice device;
    device.units.set(1, 'h', 10, {0x6666, 0x41AA, 0x41AA, 0x6666});
    device.units.set(1, 'c', 3, {1});
    FakeConfig config = config_for(device);
    config.devices.at(0).settings.set("order", "CDAB");
    config.points.push_back({0, "swapped", at("holding", 10).set("type", "float32")});
    config.points.push_back({0, "straight", at("holding", 12).set("type", "float32").set("order", "ABCD")});
    config.points.push_back({0, "coil", at("coil", 3)});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(std::get<double>(host.last(0)) == doctest::Approx(21.3));
    CHECK(std::get<double>(host.last(1)) == doctest::Approx(21.3));
    CHECK(host.last(2) == Value(true));
}

TEST_CASE("what would read back as no value is not written") {
    TcpDevice device;
    FakeConfig config = config_for(device);
    config.points.push_back({0, "limit", at("holding", 10).list("invalid", {std::int64_t{65535}}), true});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.write(0, std::int64_t{65535}) == THINGS_INVALID);
    CHECK(host.event("value_refused").text.find("configured as invalid") != std::string::npos);
    CHECK(device.units.take_log().empty());
}

TEST_CASE("writes use functions 5, 6, 15 and 16 and say what will be read back") {
    TcpDevice device;
    FakeConfig config = config_for(device);
    config.points.push_back({0, "coil", at("coil", 3), true});
    config.points.push_back({0, "coils", at("coil", 4).set("write_function", "multiple"), true});
    config.points.push_back({0, "one", at("holding", 10).set("type", "int16").set("scale", 0.1), true});
    config.points.push_back({0, "sixteen", at("holding", 11).set("write_function", "16"), true});
    config.points.push_back(
        {0, "float", at("holding", 12).set("type", "float32").set("order", "CDAB"), true});
    config.points.push_back({0, "long", at("holding", 14).set("type", "int64"), true});
    config.points.push_back({0, "mask", at("holding", 20).set("mask", 0x0FF0), true});
    config.points.push_back({0, "bit", at("holding", 20).set("bit", 0), true});
    device.units.set(1, 'h', 20, {0xA00C});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.write(0, true) == THINGS_OK);
    CHECK(source.write(1, true) == THINGS_OK);
    CHECK(source.write(2, 21.57) == THINGS_OK);
    CHECK(source.written == Value(21.6));
    CHECK(source.write(3, std::int64_t{77}) == THINGS_OK);
    CHECK(source.write(4, 21.3) == THINGS_OK);
    CHECK(source.write(5, std::int64_t{-2}) == THINGS_OK);
    CHECK(source.write(6, std::int64_t{0x12}) == THINGS_OK);
    CHECK(source.write(7, true) == THINGS_OK);
    CHECK(device.units.take_log() == Log{"1 5 3+1", "1 15 4+1", "1 6 10+1", "1 16 11+1", "1 16 12+2",
                                         "1 16 14+4", "1 3 20+1", "1 6 20+1", "1 3 20+1", "1 6 20+1"});
    CHECK(device.units.get(1, 'c', 3, 2) == ModbusUnits::Words{1, 1});
    CHECK(device.units.get(1, 'h', 10, 8) ==
          ModbusUnits::Words{216, 77, 0x6666, 0x41AA, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE});
    CHECK(device.units.get(1, 'h', 20, 1) == ModbusUnits::Words{0xA12D});
    SUBCASE("what does not fit is refused before anything is sent") {
        CHECK(source.write(2, 4000.0) == THINGS_INVALID);
        CHECK(host.events.back().code == "value_refused");
        CHECK(device.units.take_log().empty());
        CHECK(device.units.get(1, 'h', 10, 1) == ModbusUnits::Words{216});
    }
    SUBCASE("a device that lacks function 6 is asked with 16") {
        device.units.lack(6);
        CHECK(source.write(2, 5.0) == THINGS_OK);
        CHECK(source.write(2, 6.0) == THINGS_OK);
        CHECK(device.units.take_log() == Log{"1 6 10+1", "1 16 10+1", "1 16 10+1"});
    }
}
