// SPDX-License-Identifier: Apache-2.0
#include "support/fake_plugin_host.hpp"
#include "support/rtu_line/rtu_line.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>

// Devices as they are met in the field: registers that are never answered, connections that are closed for no
// reason, answers with numbers of their own, devices that need a moment after connecting.
using namespace things;

namespace {

using Value = FakePluginHost::Value;
using Kind = UnitFault::Kind;
using Points = std::vector<std::uint32_t>;

/// Where the device is, over one of the three framings.
struct Peer {
    std::unique_ptr<TcpDevice> tcp;
    std::unique_ptr<RtuLine> line;
    FakeConfig config;
    explicit Peer(const std::string& kind) {
        if (kind == "rtu") {
            line = std::make_unique<RtuLine>(RtuLine::Timing::of(115200, 10, 1000));
            line->units.add(1);
            config.source.set("port", line->path()).set("baud", 115200);
        } else {
            tcp = std::make_unique<TcpDevice>(kind == "rtutcp");
            config.source.set("host", "127.0.0.1").set("tcp_port", tcp->port());
            config.source.set("framing", kind == "rtutcp" ? "rtu" : "tcp");
        }
        config.source.set("timeout", 100);
        config.devices.push_back({"meter", FakeSettings().set("gap", 0)});
    }
    [[nodiscard]] ModbusUnits& units() const { return line ? line->units : tcp->units; }
    /// A point for each register, which holds its address + 1000.
    void add(const std::vector<int>& addresses) {
        for (const int address : addresses) {
            config.points.push_back(
                {0, "r" + std::to_string(address), FakeSettings().set("holding", address)});
            units().set(1, 'h', static_cast<std::uint16_t>(address),
                        {static_cast<std::uint16_t>(1000 + address)});
        }
    }
    /// What touches this register meets the fault.
    void spoil(int address, Kind kind) const {
        units().on_request([address, kind](const UnitRequest& r) {
            return UnitFault{r.address <= address && address < r.address + r.count ? kind : Kind::none};
        });
    }
};

/// Points read since the last call; each must have the value of its register.
Points take_read(FakePluginHost& host, const FakeConfig& config) {
    std::set<std::uint32_t> points;
    for (const auto& reading : host.emitted) {
        const std::int64_t address = std::stoll(config.points[reading.point].name.substr(1));
        REQUIRE(reading.value == Value(std::int64_t{1000 + address}));
        points.insert(reading.point);
    }
    host.emitted.clear();
    return {points.begin(), points.end()};
}

std::size_t count(const FakePluginHost& host, std::uint32_t kind) {
    return static_cast<std::size_t>(std::count_if(host.events.begin(), host.events.end(),
                                                  [kind](const auto& e) { return e.kind == kind; }));
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a register that is never answered costs itself alone") {
    for (const char* framing : {"tcp", "rtutcp", "rtu"})
        for (const int silent : {64, 4, 244}) {
            CAPTURE(std::string(framing));
            CAPTURE(silent);
            Peer peer(framing);
            peer.add({4, 64, 124, 184, 244});
            peer.spoil(silent, Kind::silent);
            FakePluginHost host;
            FakeSource source(*things_plugin_entry(), host, peer.config);
            const Points others = silent == 64  ? Points{0, 2, 3, 4}
                                  : silent == 4 ? Points{1, 2, 3, 4}
                                                : Points{0, 1, 2, 3};
            for (int i = 0; i < 3; ++i)
                static_cast<void>(source.poll_all());
            host.emitted.clear();
            peer.units().take_log();
            for (int i = 0; i < 20; ++i) {
                CHECK(source.poll_all() == THINGS_OK);
                CHECK(take_read(host, peer.config) == others);
            }
            for (const std::string& request : peer.units().take_log())
                CHECK(request != "1 3 " + std::to_string(silent) + "+1"); // nobody waited for it
            const auto event = host.events.back();
            CHECK(event.level == THINGS_POINT);
            CHECK(event.index == (silent == 64 ? 1U : silent == 4 ? 0U : 4U));
            CHECK(says(event.text, "holding register " + std::to_string(silent) + " (4"));
            CHECK(says(event.text, "not answered within 100 ms"));
            CHECK(says(event.text, silent == 64
                                       ? "while holding registers 4 and 124 (40005, 40125) of the same unit"
                                   : silent == 4 ? "while holding register "
                                                 : "while holding register 184 (40185) of the same unit is"));
            CHECK(event.code == "timeout");
        }
}

TEST_CASE("of ten neighbours in one request nine are read when one is never answered") {
    for (const char* framing : {"tcp", "rtutcp", "rtu"}) {
        CAPTURE(std::string(framing));
        Peer peer(framing);
        peer.add({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
        peer.spoil(5, Kind::silent);
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, peer.config);
        for (int i = 0; i < 6; ++i)
            static_cast<void>(source.poll_all());
        host.emitted.clear();
        CHECK(source.poll_all() == THINGS_OK);
        CHECK(take_read(host, peer.config) == Points{0, 1, 2, 3, 4, 6, 7, 8, 9});
        CHECK(says(host.events.back().text, "while holding register"));
        CHECK(host.events.back().index == 5);
    }
}

TEST_CASE("a register that is left out for now keeps its reason when it is asked for by hand") {
    Peer peer("tcp");
    peer.add({4, 64});
    peer.spoil(64, Kind::silent);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, peer.config);
    static_cast<void>(source.poll_all());
    static_cast<void>(source.poll_all());
    host.events.clear();
    CHECK(source.poll({1}) == THINGS_OK); // read by hand: the reason is told though it is not asked now
    REQUIRE(host.events.size() == 1);
    CHECK(says(host.events[0].text, "meter r64"));
    CHECK(says(host.events[0].text, "holding register 64 (40065)"));
}

TEST_CASE("a read by hand of a register that is never answered says so, in time") {
    Peer peer("tcp");
    peer.add({4, 64, 124});
    peer.spoil(64, Kind::silent);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, peer.config);
    static_cast<void>(source.poll({1}, 1000));
    CHECK(says(host.events.back().text, "holding register 64 (40065)"));
    CHECK(source.poll({2}, 1000) == THINGS_OK);
    CHECK(host.last(2) == Value(std::int64_t{1124}));
}

TEST_CASE("a unit that dies is dead as a whole, and back as a whole") {
    Peer peer("tcp");
    peer.add({4, 64, 124, 184, 244});
    peer.config.devices[0].settings.set("backoff_max", 300);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, peer.config);
    CHECK(source.poll_all() == THINGS_OK);
    peer.units().on_request([](const UnitRequest&) { return UnitFault{Kind::silent}; });
    for (int i = 0; i < 5; ++i)
        static_cast<void>(source.poll_all());
    CHECK(host.events.back().level == THINGS_DEVICE);
    CHECK(host.events.back().code == "timeout");
    peer.units().on_request(nullptr);
    host.emitted.clear();
    const std::int64_t deadline = monotonic_ms() + 5000;
    while (take_read(host, peer.config) != Points{0, 1, 2, 3, 4} && monotonic_ms() < deadline)
        static_cast<void>(source.poll_all());
    CHECK(monotonic_ms() < deadline);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(take_read(host, peer.config) == Points{0, 1, 2, 3, 4});
}

TEST_CASE("a device that closes the connection after each answer is read in full, with one notice") {
    for (const char* framing : {"tcp", "rtutcp"}) {
        CAPTURE(std::string(framing));
        Peer peer(framing);
        peer.add({4, 64, 124, 184, 244});
        peer.units().on_request([](const UnitRequest&) { return UnitFault{Kind::close_after}; });
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, peer.config);
        for (int i = 0; i < 10; ++i) {
            CHECK(source.poll_all() == THINGS_OK);
            CHECK(take_read(host, peer.config) == Points{0, 1, 2, 3, 4});
        }
        CHECK(host.events.size() == 1);
        CHECK(host.has_event(THINGS_NOTE, "closes_after_answer"));
    }
}

TEST_CASE("a device that closes the connection instead of refusing a register is read beside it") {
    for (const char* framing : {"tcp", "rtutcp"})
        for (const int bad : {64, 4, 244}) {
            CAPTURE(std::string(framing));
            CAPTURE(bad);
            Peer peer(framing);
            peer.add({4, 64, 124, 184, 244});
            peer.spoil(bad, Kind::close);
            FakePluginHost host;
            FakeSource source(*things_plugin_entry(), host, peer.config);
            const std::int64_t deadline = monotonic_ms() + 5000;
            while (!host.has_event(THINGS_PROBLEM, "closed_instead") && monotonic_ms() < deadline)
                static_cast<void>(source.poll_all());
            const std::size_t recovered = count(host, THINGS_RECOVERED);
            host.emitted.clear();
            for (int i = 0; i < 10; ++i) {
                CHECK(source.poll_all() == THINGS_OK);
                CHECK(take_read(host, peer.config).size() == 4);
            }
            CHECK(
                says(host.event("closed_instead").text, "(4" + std::to_string(10001 + bad).substr(1) + ")"));
            CHECK(host.events.back().code == "closed_instead");
            CHECK(count(host, THINGS_RECOVERED) == recovered); // steady
        }
}

TEST_CASE("answers with numbers of the device's own are read") {
    const std::map<std::string, std::function<unsigned(unsigned, unsigned)>> ways{
        {"always 0",
         [](unsigned, unsigned) {
             return 0U;
         }},
        {"always 7",
         [](unsigned, unsigned) {
             return 7U;
         }},
        {"a counter of its own",
         [](unsigned, unsigned count) {
             return count;
         }},
        {"bytes swapped",
         [](unsigned number, unsigned) {
             return number % 256 * 256 + number / 256;
         }},
        {"one too high", [](unsigned number, unsigned) {
             return (number + 1) % 65536;
         }}};
    for (const auto& [name, way] : ways) {
        CAPTURE(name);
        Peer peer("tcp");
        peer.tcp->number(way);
        peer.add({4, 64, 124});
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, peer.config);
        CHECK(source.poll({0}) == THINGS_OK); // the first of all, by hand
        CHECK(take_read(host, peer.config) == Points{0});
        for (int i = 0; i < 5; ++i)
            CHECK(source.poll_all() == THINGS_OK);
        CHECK(take_read(host, peer.config) == Points{0, 1, 2});
        CHECK(host.events.size() == 1);
        CHECK(says(host.event("answer_numbers").text, "numbers its answers in a way of its own"));
        // An answer that comes late must not pass for the next one.
        peer.units().on_request([](const UnitRequest& r) {
            return UnitFault{Kind::none, std::chrono::milliseconds(r.number % 4 == 0 ? 150 : 0)};
        });
        for (int i = 0; i < 3; ++i)
            static_cast<void>(source.poll_all());
        static_cast<void>(take_read(host, peer.config));
    }
}

TEST_CASE("what came in place of an answer is told, byte by byte") {
    struct Row {
        const char* framing;
        Kind kind;
        const char* code;
        const char* text;
    };
    for (const Row& row : {Row{"tcp", Kind::long_count, "other_length", "asked for 2 bytes, 4 came"},
                           Row{"tcp", Kind::other_unit, "other_unit", "unit 2 answered instead"},
                           Row{"tcp", Kind::other_function, "other_answer", "the answer is to function 4"},
                           Row{"rtutcp", Kind::other_unit, "other_unit", "unit 2 answered instead"},
                           Row{"rtutcp", Kind::damaged, "crc", "the answer came damaged"}}) {
        CAPTURE(std::string(row.framing));
        CAPTURE(std::string(row.text));
        Peer peer(row.framing);
        peer.add({20});
        peer.config.source.set("retries", 0);
        peer.spoil(20, row.kind);
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, peer.config);
        static_cast<void>(source.poll_all());
        const auto event = host.event(row.code);
        CHECK(says(event.text, row.text));
        CHECK(says(event.text, "What came: "));
        CHECK(host.emitted.empty());
    }
}

TEST_CASE("a device that resets when it is asked too soon is given its time on every connection") {
    Peer peer("tcp");
    peer.add({4});
    peer.tcp->wake_up_in(std::chrono::milliseconds(300));
    SUBCASE("as the source says") {
        peer.config.source.set("connect_delay", 400);
    }
    SUBCASE("as one of its devices says") {
        peer.config.devices[0].settings.set("connect_delay", 400);
    }
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, peer.config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.emitted.size() == 1);
    peer.tcp->drop_all();
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.emitted.size() == 2);
    CHECK(host.events.empty());
}

TEST_CASE("the end of a plan that is longer than a call is reached by the next one") {
    Peer peer("tcp");
    peer.add({0, 100, 200, 300, 400, 500, 600, 700});
    peer.units().on_request([](const UnitRequest&) {
        return UnitFault{Kind::none, std::chrono::milliseconds(30)};
    });
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, peer.config);
    for (int i = 0; i < 4; ++i)
        static_cast<void>(source.poll_all(150));
    CHECK(take_read(host, peer.config) == Points{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("a scan goes on behind a register that is never answered, or for which the connection is closed") {
    for (const Kind kind : {Kind::silent, Kind::close}) {
        CAPTURE(static_cast<int>(kind));
        Peer peer("tcp");
        peer.spoil(5, kind);
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, peer.config);
        CHECK(source.discover(
                  FakeSettings().set("unit", 1).set("table", "holding").set("to", 31).set("timeout", 50)) ==
              THINGS_OK);
        CHECK(host.found ==
              std::vector<std::string>{R"({"unit":1,"table":"holding","first":0,"last":4,"count":5})",
                                       R"({"unit":1,"table":"holding","first":6,"last":31,"count":26})"});
    }
}
