// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_width.hpp"
#include "support/fake_plugin_host.hpp"
#include "support/rtu_line/rtu_line.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

#include <memory>

// Devices whose registers hold other than two bytes: what is sent and what comes, function and data.
using namespace things;

namespace {

using Value = FakePluginHost::Value;

/// A device at each kind of link, with one point of these settings.
struct WideDevice {
    std::unique_ptr<TcpDevice> tcp;
    std::unique_ptr<RtuLine> line;
    FakeConfig config;
    explicit WideDevice(const std::string& kind) {
        if (kind == "rtu") {
            line = std::make_unique<RtuLine>();
            config.source.set("port", line->path());
        } else {
            tcp = std::make_unique<TcpDevice>();
            config.source.set("host", "127.0.0.1").set("tcp_port", tcp->port());
        }
        config.source.set("timeout", 200).set("retries", 0);
        config.devices.push_back({"meter", {}});
    }
    [[nodiscard]] ModbusUnits& units() const { return line ? line->units : tcp->units; }
    void point(const FakeSettings& settings, std::uint32_t writable = 0) {
        config.points.push_back({0, "p" + std::to_string(config.points.size()), settings, writable});
    }
};

FakeSettings at(int address, const char* type) {
    return FakeSettings().set("holding", address).set("type", type);
}

std::vector<FakePluginHost::Problem> problems_of(const FakeConfig& config) {
    FakePluginHost host;
    const FakeSource source(*things_plugin_entry(), host, config);
    return host.problems;
}

} // namespace

TEST_CASE("a register of four bytes is read, and without the key its message names the cure") {
    for (const char* kind : {"tcp", "rtu"}) {
        CAPTURE(std::string(kind));
        WideDevice device(kind);
        device.units().script("03 0014 0001", "03 04 0001E240");
        device.point(at(20, "uint32"));
        FakePluginHost host;
        SUBCASE("as the source says") {
            device.config.source.set("register_bytes", 4);
            FakeSource source(*things_plugin_entry(), host, device.config);
            CHECK(source.poll_all() == THINGS_OK);
            CHECK(host.last(0) == Value(std::int64_t{123456}));
            CHECK(host.events.empty());
        }
        SUBCASE("as the device says") {
            device.config.devices[0].settings.set("register_bytes", 4);
            FakeSource source(*things_plugin_entry(), host, device.config);
            CHECK(source.poll_all() == THINGS_OK);
            CHECK(host.last(0) == Value(std::int64_t{123456}));
        }
        SUBCASE("unsaid") {
            device.config.points[0].settings = at(20, "uint16");
            FakeSource source(*things_plugin_entry(), host, device.config);
            static_cast<void>(source.poll_all());
            CHECK(host.emitted.empty());
            const std::string text = host.event("other_length").text;
            CHECK(text.find("asked for 2 bytes, 4 came") != std::string::npos);
            CHECK(text.find("If the registers of this device hold 4 bytes, give it `register_bytes: 4`.") !=
                  std::string::npos);
        }
    }
}

TEST_CASE("types, orders and scale factors in registers of every width") {
    struct Row {
        int bytes;
        const char* request;
        const char* answer;
        FakeSettings point;
        Value value;
    };
    const Row rows[] = {
        {4, "03 0014 0001", "03 04 0001E240", at(20, "uint16"), std::int64_t{0xE240}}, // the low bytes
        {4, "03 0014 0001", "03 04 FFFFFFF6", at(20, "int16"), std::int64_t{-10}},
        {4, "03 0014 0001", "03 04 E2400001", at(20, "uint32").set("order", "CDAB"), std::int64_t{123456}},
        {4, "03 0014 0002", "03 08 000000000001E240", at(20, "int64"), std::int64_t{123456}},
        {4, "03 0014 0002", "03 08 0000007B FFFFFFFF", at(20, "uint16").set("scale_from", 21), 12.3},
        {4, "03 0014 0002", "03 08 4D455445 52203700", at(20, "string").set("length", 2),
         std::string("METER 7")},
        {8, "03 0014 0001", "03 08 0000000042F60000", at(20, "float32"), 123.0},
        {8, "03 0014 0001", "03 08 0000000000000010", at(20, "uint16").set("bit", 4), true},
        {1, "03 0014 0002", "03 02 04D2", at(20, "uint16"), std::int64_t{1234}},
        {1, "03 0014 0001", "03 01 F6", at(20, "int8"), std::int64_t{-10}},
        {1, "03 0014 0004", "03 04 0001E240", at(20, "uint32"), std::int64_t{123456}},
        {2, "03 0014 0001", "03 02 12F6", at(20, "int8"), std::int64_t{-10}},
    };
    for (const Row& row : rows) {
        CAPTURE(std::string(row.answer));
        WideDevice device("tcp");
        device.config.source.set("register_bytes", row.bytes);
        device.units().script(row.request, row.answer);
        device.point(row.point);
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, device.config);
        CHECK(source.poll_all() == THINGS_OK);
        CHECK(host.last(0) == row.value);
    }
}

TEST_CASE("one answer carries at most 250 bytes, and widths do not share it") {
    WideDevice device("tcp");
    device.config.source.set("register_bytes", 8);
    device.config.devices[0].settings.set("gap", 0);
    for (int i = 0; i < 32; ++i)
        device.point(at(i, "uint64"));
    device.point(at(32, "uint16").set("register_bytes", 2));
    std::string zeros;
    for (int i = 0; i < 31; ++i)
        zeros += " 0000000000000000";
    device.units().script("03 0000 0001", "03 08 0000000000000001");
    device.units().script("03 0001 001F", "03 F8" + zeros); // 248 bytes
    device.units().set(1, 'h', 32, {7});
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, device.config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.emitted.size() == 33);
    CHECK(host.last(0) == Value(std::uint64_t{1}));
    CHECK(host.last(32) == Value(std::int64_t{7}));
}

TEST_CASE("function 16 writes as many bytes as the registers hold") {
    struct Row {
        int bytes;
        FakeSettings point;
        std::int64_t value;
        const char* read; // of what shares the register; null: nothing is
        const char* write;
    };
    const Row rows[] = {
        {4, at(20, "uint32"), 123456, nullptr, "10 0014 0001 04 0001E240"},
        {4, at(20, "int16"), -10, nullptr, "10 0014 0001 04 FFFFFFF6"},
        {8, at(20, "uint16"), 7, nullptr, "10 0014 0001 08 0000000000000007"},
        {1, at(20, "uint16"), 1234, nullptr, "10 0014 0002 02 04D2"},
        {1, at(20, "uint8"), 200, nullptr, "10 0014 0001 01 C8"},
        {4, at(20, "uint16").set("bit", 0), 1, "03 04 ABCD0010", "10 0014 0001 04 ABCD0011"},
    };
    for (const char* kind : {"tcp", "rtu"})
        for (const Row& row : rows) {
            CAPTURE(std::string(kind));
            CAPTURE(std::string(row.write));
            WideDevice device(kind);
            device.config.source.set("register_bytes", row.bytes);
            if (row.read != nullptr)
                device.units().script("03 0014 0001", row.read);
            device.units().script(row.write, std::string(row.write).substr(0, 12));
            device.point(row.point, THINGS_WRITABLE);
            FakePluginHost host;
            FakeSource source(*things_plugin_entry(), host, device.config);
            CHECK(source.write(0, row.value) == THINGS_OK);
            for (const FakePluginHost::Event& event : host.events)
                CHECK(event.text == "");
        }
}

TEST_CASE("a scan reads registers as wide as they are, and tells of a width that nobody configured") {
    WideDevice device("tcp");
    device.units().script("03 0000 0001", "03 04 0001E240");
    device.units().script("03 0014 0001", "03 04 0001E240");
    FakePluginHost host;
    SUBCASE("the words at an address") {
        device.config.source.set("register_bytes", 4);
        FakeSource source(*things_plugin_entry(), host, device.config);
        CHECK(source.discover(FakeSettings().set("unit", 1).set("explain", 20).set("count", 1)) == THINGS_OK);
        CHECK(host.found.at(0) == R"({"unit":1,"table":"holding","address":20,"words":["0x0001","0xE240"]})");
    }
    SUBCASE("units") {
        FakeSource source(*things_plugin_entry(), host, device.config);
        CHECK(source.discover(FakeSettings().set("from", 1).set("to", 1)) == THINGS_OK);
        CHECK(host.found.at(0).find(R"("answer":"4 bytes for one register")") != std::string::npos);
    }
}

TEST_CASE("what cannot be combined is refused with its key") {
    struct Row {
        int bytes;
        FakeSettings point;
        const char* key;
        const char* message;
    };
    for (const Row& row : {Row{4, at(20, "uint32").set("write_function", "single"), "write_function",
                               "function 6 writes two bytes, the registers of this device hold 4 "
                               "(`register_bytes`): use `multiple`"},
                           Row{4, FakeSettings().set("sunspec", "103.W"), "sunspec",
                               "registers of SunSpec hold two bytes, not `register_bytes: 4`"},
                           Row{1, at(20, "string").set("length", 3), "length",
                               "registers of one byte hold a string of an even number of characters"},
                           Row{8, at(20, "string").set("length", 32), "holding",
                               "reading it takes 32 registers in one request, the device allows 31"},
                           Row{2, FakeSettings().set("coil", 20).set("register_bytes", 4), "register_bytes",
                               "`register_bytes` is for registers, a coil holds one bit"}}) {
        CAPTURE(std::string(row.message));
        WideDevice device("tcp");
        device.config.source.set("register_bytes", row.bytes);
        device.point(row.point, std::string(row.key) == "write_function" ? THINGS_WRITABLE : 0);
        const auto problems = problems_of(device.config);
        REQUIRE(problems.size() == 1);
        CHECK(problems[0].key == row.key);
        CHECK(problems[0].message == row.message);
    }
}

TEST_CASE("a value goes into its registers and comes back") {
    using Words = std::vector<std::uint16_t>;
    RegisterFormat format;
    format.type = RegisterType::int32;
    format.order = RegisterOrder::cdab; // -2: low word first
    const Words words{0xFFFE, 0xFFFF};
    CHECK(registers_of(format, 8) == 1);
    CHECK(value_payload(words, format, 8) == Words{0xFFFF, 0xFFFF, 0xFFFE, 0xFFFF});
    CHECK(value_words(value_payload(words, format, 8), 0, format, 8) == words);
    CHECK(power_in(Words{0x00FE}, 1, 1) == -2);
    CHECK(part_of_payload(Words{0x0102, 0x0300}, 1, 2, 1) == Words{0x0203});
}
