// SPDX-License-Identifier: Apache-2.0
#include "plugins/link/fake_host.hpp"
#include "plugins/link/pty.hpp"

#include "link/checksum.hpp"
#include "serial/escaped_text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <tuple>

using namespace things;
using namespace std::string_literals;

namespace {

const things_plugin& plugin() {
    return *things_plugin_entry();
}

bool listen_until(FakeHost& host, const std::function<bool()>& done) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done() && std::chrono::steady_clock::now() < deadline)
        host.listen(50);
    return done();
}

} // namespace

TEST_CASE("a sensor that talks is thinned, checked and repeated for a read by hand") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path())
        .set("start", "$"s)
        .set("checksum", "nmea"s)
        .set("baud", std::int64_t{4800});
    config.point("temperature", "Cel", 0).at("match", R"(^\$YXXDR,C,(-?[\d.]+),C,T1)"s);
    config.point("wind", "m/s", 3'600'000).at("column", std::int64_t{3}).at("guard", "^.WIMWV,.*,A"s);
    FakeHost host(plugin());
    REQUIRE_MESSAGE(host.create(config) == THINGS_OK, host.problems.size());
    host.listen(10);
    std::jthread sensor([&pty] {
        for (int i = 0; i < 20; ++i)
            pty.send("$YXXDR,C,-3.1,C,T1*2B\r\n$YXXDR,C,-4.1,C,T1*2B\r\n$WIMWV,214.8,R,3.2,M,A*2E\r\n");
    });
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 20 && host.of(1).size() == 1; }));
    sensor.join();
    CHECK(number(host.of(0)[0].value) == -3.1);
    CHECK(number(host.of(1)[0].value) == 3.2);
    CHECK(host.of(1)[0].raw == "$WIMWV,214.8,R,3.2,M,A*2E\\r");
    REQUIRE(host.event("damaged_frame") != nullptr); // once, for twenty
    std::size_t before = host.readings.size();
    CHECK(host.poll({0, 1}, 1000) == THINGS_OK);
    REQUIRE(host.readings.size() == before + 2);
    CHECK((host.readings.back().flags & THINGS_UNCHANGED) != 0);
    CHECK(number(host.readings.back().value) == 3.2);
}

TEST_CASE("a sensor that is asked: one request serves its points, other requests theirs") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("request", "SI\\r\\n"s).set("timeout", std::int64_t{3000});
    config.point("weight", "kg", 1000).at("match", R"(^S S +([\d.]+) g)"s).at("scale", 0.001);
    config.point("stable", "", 1000).at("match", R"(^S ([SD]))"s).at("type", "string"s);
    config.point("serial", "", 1000).at("match", R"re(^I4 A "(\w+)")re"s).at("type", "string"s);
    config.at("request", "I4\\r\\n"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.poll({}, 1);
    std::string seen;
    std::jthread scale([&pty, &seen] {
        seen = pty.receive_until("SI\r\n");
        pty.send("S S     100.25 g\r\n");
        seen += pty.receive_until("I4\r\n");
        pty.send("I4 A \"B021\"\r\n");
    });
    CHECK(host.poll({0, 1, 2}, 10'000) == THINGS_OK);
    scale.join();
    CHECK(seen == "SI\r\nI4\r\n");
    REQUIRE(host.readings.size() == 3);
    CHECK(number(host.readings[0].value) == 0.10025);
    CHECK(text(host.readings[1].value) == "S");
    CHECK(text(host.readings[2].value) == "B021");
}

TEST_CASE("no answer is retried and then told for each point, and the answer ends it") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("request", "?\\r"s).set("timeout", std::int64_t{50});
    config.set("retries", std::int64_t{2});
    config.point("value", "", 1000).at("match", R"(^V=(\d+))"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(host.poll({0}, 10'000) == THINGS_TIMEOUT);
    CHECK(pty.receive_until("?\r?\r?\r") == "?\r?\r?\r");
    REQUIRE(host.event("no_answer") != nullptr);
    CHECK(host.event("no_answer")->level == THINGS_POINT);
    std::jthread sensor([&pty] {
        CHECK(pty.receive_until("?\r") == "?\r");
        pty.send("ERR 5\r\n"); // an answer in which nothing is found
        CHECK(pty.receive_until("?\r") == "?\r");
        CHECK(pty.receive_until("?\r") == "?\r");
    });
    CHECK(host.poll({0}, 10'000) == THINGS_TIMEOUT);
    sensor.join();
    REQUIRE(host.event("no_match") != nullptr);
    CHECK(host.event("no_match")->text.find("ERR 5") != std::string::npos);
    std::jthread better([&pty] {
        CHECK(pty.receive_until("?\r") == "?\r");
        pty.send("V=42\r\n");
    });
    CHECK(host.poll({0}, 10'000) == THINGS_OK);
    better.join();
    REQUIRE(host.of(0).size() == 1);
    CHECK(number(host.of(0)[0].value) == 42);
    CHECK(host.event("", THINGS_RECOVERED) != nullptr);
}

TEST_CASE("an answer that comes too late is not taken for that of the next request") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("request", "?\\r"s).set("timeout", std::int64_t{50});
    config.set("retries", std::int64_t{0});
    config.point("value", "", 1000).at("match", R"(^V=(\d+))"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(host.poll({0}, 10'000) == THINGS_TIMEOUT);
    pty.send("V=1\r\n"); // too late
    while (pty.unread() < 5) {
    }
    CHECK(host.poll({0}, 10'000) == THINGS_TIMEOUT);
    CHECK(host.of(0).empty());
}

TEST_CASE("writes follow their template, wait for the answer and say how it reads back") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("request", "?\\r"s).set("timeout", std::int64_t{2000});
    config.point("setpoint", "Cel", 1000).at("match", R"(^SP=([\d.]+))"s).at("scale", 0.1).writable();
    config.at("write", "SP{value:04d}\\r"s).at("expect", "^OK"s).at("refuse", "^ERR"s);
    config.point("label", "", 1000).at("match", R"(^L=(.*))"s).at("type", "string"s).writable();
    config.at("write", "L{value}\\r"s);
    config.point("fixed", "", 1000).at("match", R"(^F=(\d))"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    TestValue written;
    SUBCASE("accepted, rounded to what the device can hold") {
        std::jthread device([&pty] {
            CHECK(pty.receive_until("\r") == "SP0215\r");
            pty.send("OK\r\n");
        });
        CHECK(host.write(0, 21.54, written, 5000) == THINGS_OK);
        device.join();
        CHECK(number(written) == 21.5);
    }
    SUBCASE("refused") {
        std::jthread device([&pty] {
            CHECK(pty.receive_until("\r") == "SP0999\r");
            pty.send("ERR 7\r\n");
        });
        CHECK(host.write(0, 99.9, written, 5000) == THINGS_REFUSED);
        device.join();
        CHECK(host.event("refused")->text.find("ERR 7") != std::string::npos);
    }
    SUBCASE("no answer") {
        CHECK(host.write(0, 20.0, written, 50) == THINGS_TIMEOUT);
        CHECK(host.event("no_answer") != nullptr);
    }
    SUBCASE("a text cannot smuggle in a second command") {
        CHECK(host.write(1, "roof"s, written, 1000) == THINGS_OK);
        CHECK(pty.receive_until("\r") == "Lroof\r");
        CHECK(text(written) == "roof");
        CHECK(host.write(1, "x\rRESET"s, written, 1000) == THINGS_INVALID);
        CHECK(host.write(0, "20"s, written, 1000) == THINGS_INVALID);
    }
    SUBCASE("a point without write cannot be written") {
        CHECK(host.write(2, 1.0, written, 1000) == THINGS_UNSUPPORTED);
    }
}

TEST_CASE("the stream is started on opening, and silence raises an alarm") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("on_open", "K 1\\r\\n"s).set("alarm_after", std::int64_t{150});
    config.point("co2", "", 0).at("match", R"(^ ?Z (\d+))"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    CHECK(pty.receive_until("\n") == "K 1\r\n");
    CHECK(listen_until(host, [&host] { return host.event("silence") != nullptr; }));
    pty.send(" Z 00512 z 00510\r\n");
    CHECK(listen_until(host, [&host] { return host.event("silence", THINGS_RECOVERED) != nullptr; }));
    CHECK(number(host.of(0)[0].value) == 512);
}

TEST_CASE("a frame that ends by silence is read from a line") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("frame", "silence"s).set("silence", std::int64_t{30});
    config.set("checksum", "crc16_modbus"s);
    config.point("value", "", 0).at("byte", std::int64_t{3}).at("type", "uint16"s).at("scale", 0.1);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    std::string body("\x01\x03\x02\x02\x64", 5);
    std::uint16_t crc = crc16_modbus(body);
    pty.send(body + static_cast<char>(crc & 0xff) + static_cast<char>(crc >> 8));
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 1; }));
    CHECK(number(host.of(0)[0].value) == 61.2);
}

TEST_CASE("ten thousand sentences come through a line without one lost") {
    constexpr int count = 10'000;
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("checksum", "nmea"s);
    config.point("value", "", 0).at("column", std::int64_t{1});
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    std::jthread sensor([&pty] {
        for (int i = 0; i < count; ++i) {
            std::string body = fmt::format("PSYN,{}", i);
            pty.send(fmt::format("${}*{:02X}\r\n", body, xor8(body)));
        }
    });
    CHECK(listen_until(host, [&host] { return host.readings.size() == count; }));
    sensor.join();
    for (std::size_t i = 0; i < host.readings.size(); ++i)
        REQUIRE(number(host.readings[i].value) == static_cast<double>(i));
}

TEST_CASE("a scan shows what comes over the line") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("checksum", "nmea"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(host.discover(10) == THINGS_OK);
    pty.send("rest\r\n$PSYN,CO2,612,ppm*5E\r\n$PSYN,\"x\"*00\r\n");
    CHECK(host.discover(200) == THINGS_OK);
    REQUIRE(host.found.size() == 3);
    CHECK(host.found[1] == R"({"frame":"$PSYN,CO2,612,ppm*5E\\r"})");
    CHECK(host.found[2] ==
          R"({"damaged":"$PSYN,\"x\"*00\\r","why":"the checksum is \"00\", but should be \"40\""})");
}

TEST_CASE("the host gets its thread back when it wants it") {
    Pty pty;
    for (bool is_polled : {true, false}) {
        TestConfig config;
        config.set("port", pty.path()).set("timeout", std::int64_t{20'000});
        if (is_polled)
            config.set("request", "?\\r"s);
        config.point("value", "", 0).at("column", std::int64_t{0});
        FakeHost host(plugin());
        REQUIRE(host.create(config) == THINGS_OK);
        std::jthread caller([&host] { host.interrupt(); });
        auto begin = std::chrono::steady_clock::now();
        CHECK((is_polled ? host.poll({0}, 20'000) : host.listen(20'000)) == THINGS_INTERRUPTED);
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
        caller.join();
    }
}

TEST_CASE("mistakes in the configuration are told with their key, all at once") {
    TestConfig config;
    config.set("frame", "delimiter"s).set("baud", std::int64_t{12345}).set("request", "\\q"s);
    config.set("guard", "("s);
    config.point("a", "", 1).at("match", "(\\d)(\\d)"s);
    config.point("b", "", 1).at("json", "x"s);
    config.point("c", "", 1).at("column", std::int64_t{1}).at("type", "uint16"s);
    config.point("d", "", 1).at("column", std::int64_t{1}).writable();
    config.point("e", "", 1).at("byte", std::int64_t{1}).at("bit", std::int64_t{9}).at("scale", 0.0);
    config.point("f", "", 1).at("column", std::int64_t{1}).at("write", "SP"s);
    config.point("g", "", 1);
    FakeHost host(plugin());
    CHECK(host.create(config) == THINGS_INVALID);
    std::string all;
    for (const std::string& problem : host.problems)
        all += problem + "\n";
    for (const char* expected : {"port: give either", "baud: 12345", "delimiter: frame", "guard: the regular",
                                 "request: \"\\q\"", "match: has more than one", "json: a JSON pointer",
                                 "type: this type", "write: the point is writable", "bit: there is no",
                                 "scale: must", "write: {value} is missing", "match: give one of"})
        CHECK_MESSAGE(all.find(expected) != std::string::npos, expected);
}

TEST_CASE("the plan says what each request will cost the line, and what is only listened for") {
    TestConfig config;
    config.set("port", "/dev/ttyUSB0"s).set("baud", std::int64_t{2400}).set("parity", "even"s);
    config.set("data_bits", std::int64_t{7}).set("pause", std::int64_t{20});
    config.point("weight", "kg", 1000).at("match", R"(^S S +([\d.]+) g)"s).at("request", "SI\\r\\n"s);
    config.point("stable", "", 5000)
        .at("match", R"(^S ([SD]))"s)
        .at("type", "string"s)
        .at("request", "SI\\r\\n"s);
    config.point("door", "", 1000).at("match", "^D(.)"s);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(host.plan() == THINGS_OK);
    // (4 + 24 characters) x 10 bits / 2400 baud + 20 ms
    CHECK(host.found ==
          std::vector<std::string>{
              R"({"request":"SI\\r\\n","points":["weight","stable"],"bytes":28,"answer":"assumed",)"
              R"("ms":136.7,"interval_ms":1000})",
              R"({"listens_for":["door"]})", R"({"cycle_ms":136.7,"load":0.1367,"requests":1})"});
}

TEST_CASE("the plan of frames of a fixed length is exact, and over TCP only the pause counts") {
    for (bool is_tcp : {false, true}) {
        CAPTURE(is_tcp);
        TestConfig config;
        config.set(is_tcp ? "host" : "port", "device"s)
            .set("frame", "fixed"s)
            .set("length", std::int64_t{32});
        config.set("request", "\\x42\\x4d"s).set("pause", std::int64_t{5});
        config.point("dust", "", 100).at("byte", std::int64_t{12}).at("type", "uint16"s);
        FakeHost host(plugin());
        REQUIRE(host.create(config) == THINGS_OK);
        CHECK(host.plan() == THINGS_OK);
        REQUIRE(host.found.size() == 2);
        CHECK(host.found[0].find(R"("bytes":34,"answer":"known")") != std::string::npos);
        CHECK(host.found[1] == (is_tcp ? R"({"cycle_ms":5.0,"load":0.0500,"requests":1})"
                                       : R"({"cycle_ms":40.4,"load":0.4042,"requests":1})"));
    }
}

namespace {

/// The last reason for a point without a value.
std::string reason(const FakeHost& host, std::uint32_t point) {
    std::string text;
    for (const TestEvent& event : host.events)
        if (event.kind == THINGS_REASON && event.index == point)
            text = event.text;
    return text;
}

speed_t speed(const Pty& pty) {
    termios settings = pty.settings();
    return cfgetispeed(&settings);
}

bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a point without a value is told what came, and another cause is another text") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path());
    config.point("net", "kg", 0).at("match", "NET ([0-9.]+)"s);
    config.point("gross", "kg", 0).at("column", std::int64_t{7});
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    auto says = [&host](std::uint32_t point, const char* part) {
        bool is_said = listen_until(host, [&] { return has(reason(host, point), part); });
        CHECK_MESSAGE(is_said, reason(host, point));
    };
    CHECK(host.poll({0}, 100) == THINGS_TIMEOUT);
    says(0, "nothing came on /dev/");
    pty.send("ST,GS,+   12");
    says(0,
         "12 bytes in 1 s, but no line end; the last bytes: \"ST,GS,+   12\". Wrong speed or parity (it is "
         "read at 9600 8N1)? `kpn-things-gateway scan source --baud 4800,9600,19200,115200`");
    pty.send(".59kg\r\nST,GS,+   12.60kg\r\n");
    says(0, "2 lines, none matches `NET ([0-9.]+)`; the last: \"ST,GS,+   12.60kg\\r\"");
    says(1, "2 lines, none has column 7 (counted from 0, \",\" between them); the last: \"ST,GS,");
    pty.send("\x80\xff\x01\x86\xe6\r\n");
    says(0,
         "3 lines, none matches `NET ([0-9.]+)`; the last: 80 FF 01 86 E6 0D. That is no text. Wrong speed");
    pty.send("NET 12.5 kg\r\n");
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 1; }));
}

TEST_CASE("a damaged frame is told in hex with what did not fit, in the alarm and to the point") {
    Pty pty;
    TestConfig config; // a dust sensor, with checksum_tail: 1 forgotten
    config.set("port", pty.path()).set("frame", "fixed"s).set("length", std::int64_t{10});
    config.set("start", "\\xAA\\xC0"s).set("checksum", "sum8"s).set("checksum_from", std::int64_t{2});
    bool is_right = false;
    SUBCASE("forgotten") {}
    SUBCASE("there") {
        is_right = true;
        config.set("checksum_tail", std::int64_t{1});
    }
    config.point("pm25", "ug/m3", 0)
        .at("byte", std::int64_t{2})
        .at("type", "uint16"s)
        .at("order", "DCBA"s)
        .at("scale", 0.1);
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    for (int i = 0; i < 61; ++i)
        pty.send(std::string("\xaa\xc0\x2c\x00\x37\x00\x7e\x23\x04\xab", 10));
    if (is_right) {
        CHECK(listen_until(host, [&host] { return host.of(0).size() == 61; }));
        CHECK(number(host.of(0)[0].value) == 4.4);
        CHECK(host.event("damaged_frame") == nullptr);
        return;
    }
    const char* what =
        "the checksum over bytes 2 to 8 is AB, but should be 08: AA C0 2C 00 37 00 7E 23 04 AB";
    CHECK(
        listen_until(host, [&host] { return has(reason(host, 0), "610 bytes in 1 s, 60 damaged frames"); }));
    CHECK_MESSAGE(has(reason(host, 0), what), reason(host, 0));
    REQUIRE(host.event("damaged_frame") != nullptr);
    CHECK_MESSAGE(has(host.event("damaged_frame")->text, what), host.event("damaged_frame")->text);
    CHECK(has(host.event("damaged_frame")->text, "1 damaged, 0 good since the start"));
}

TEST_CASE("what came instead of an answer is told") {
    for (const auto& [answer, code, part] :
         {std::tuple{"$PSYN,CO2,613,ppm*5E\r\n", "damaged_answer", "came damaged: the checksum is \"5E\""},
          std::tuple{"$PSYN,CO2,61", "no_frame", "12 bytes came, but no line end; the last bytes: \"$PSYN"},
          std::tuple{"$PSYN,CO2,612,ppm*5E\r\n", "no_match",
                     "no answer to \"?\\r\" matches `T=(.)`; the last"}}) {
        Pty pty;
        TestConfig config;
        config.set("port", pty.path()).set("request", "?\\r"s).set("retries", std::int64_t{0});
        config.set("checksum", "nmea"s).set("timeout", std::int64_t{500});
        config.point("value", "", 1000).at("match", "T=(.)"s);
        FakeHost host(plugin());
        REQUIRE(host.create(config) == THINGS_OK);
        std::jthread sensor([&pty, text = answer] {
            CHECK(pty.receive_until("?\r") == "?\r");
            pty.send(text);
        });
        CHECK(host.poll({0}, 10'000) == THINGS_TIMEOUT);
        REQUIRE_MESSAGE(host.event(code) != nullptr, code);
        CHECK_MESSAGE(has(host.event(code)->text, part), host.event(code)->text);
    }
}

TEST_CASE("silence after good frames is told as what it is") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("alarm_after", std::int64_t{200}).set("checksum", "nmea"s);
    config.point("co2", "ppm", 0).at("column", std::int64_t{2});
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    auto says = [&host](const char* part) {
        return listen_until(host, [&] {
            return std::any_of(host.events.begin(), host.events.end(), [&](const TestEvent& event) {
                return event.code == "silence" && has(event.text, part);
            });
        });
    };
    host.listen(10);
    pty.send("$PSYN,CO2,612,ppm*5E\r\n");
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 1; }));
    CHECK(says("nothing came on"));
    pty.send("$PSYN,CO2");
    CHECK(says("9 bytes in 1 s, but no line end"));
    pty.send(",613,ppm*5E\r\n");
    CHECK(says("1 damaged frame, none of them good; the last: the checksum is \"5E\""));
}

TEST_CASE("a scan tries other speeds, and goes back") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path());
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    std::jthread sensor([&pty](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            if (pty.unread() == 0)
                pty.send(speed(pty) == B4800 ? "T=1\r\n" : "\x80\xff\r\n");
        }
    });
    CHECK(host.discover_at({4800, 19200}, 600) == THINGS_OK);
    sensor.request_stop();
    sensor.join();
    CHECK(std::find(host.found.begin(), host.found.end(), R"({"frame":"T=1\\r"})") != host.found.end());
    CHECK(host.found.back().find(R"({"line":"19200 8N1","heard":")") == 0);
    CHECK(speed(pty) == B9600);
}
