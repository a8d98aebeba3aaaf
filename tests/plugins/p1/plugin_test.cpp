// SPDX-License-Identifier: Apache-2.0
#include "p1/cipher_stream.hpp"
#include "p1/line_search.hpp"
#include "p1/mode_c.hpp"
#include "p1/point_output.hpp"
#include "p1/telegram_health.hpp"

#include "link/serial_port.hpp"

#include "plugins/link/fake_host.hpp"
#include "plugins/link/pty.hpp"
#include "plugins/p1/sample.hpp"
#include "plugins/p1/telegram_text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace things;

namespace {

const things_plugin& plugin() {
    return *things_plugin_entry();
}

/// Listens until `done` or ten seconds are over.
bool listen_until(FakeHost& host, const std::function<bool()>& done) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done() && std::chrono::steady_clock::now() < deadline)
        host.listen(50);
    return done();
}

std::string telegram_of(int number) {
    return make_telegram(
        fmt::format("1-3:0.2.8(50)\n0-0:1.0.0(260101120000W)\n1-0:1.8.1({:06}.{:03}*kWh)\n"
                    "1-0:1.7.0(00.405*kW)\n0-1:24.1.0(003)\n0-1:24.2.1(260101115500W)(00100.500*m3)\n",
                    number / 1000, number % 1000));
}

} // namespace

TEST_CASE("every sample stream arrives through a serial line as it does from a file") {
    for (const std::string& name : sample_names()) {
        CAPTURE(name);
        simdjson::dom::parser parser;
        simdjson::dom::element json = sample_json(name, parser);
        std::string bytes = sample_bytes(name), arrived;
        Pty pty;
        // 7E1 where the meter has it: FF bytes are then doubled by the driver and must come out single.
        bool has_parity = std::string_view(json["line"]["frame"]) == "7E1";
        OpenedLink opened = open_serial(pty.path(), *with_frame({115200}, has_parity ? "7E1" : "8N1"));
        REQUIRE_MESSAGE(opened.stream, opened.trouble.text);
        std::jthread meter([&pty, &bytes] { pty.send(bytes); });
        std::array<std::uint8_t, 512> piece{};
        Patience patience{std::chrono::steady_clock::now() + std::chrono::seconds(10), nullptr};
        while (arrived.size() < bytes.size()) {
            LinkResult read = opened.stream->read(piece, patience);
            if (read.outcome != LinkOutcome::done)
                break;
            arrived.append(reinterpret_cast<char*>(piece.data()), read.count);
        }
        meter.join();
        REQUIRE(arrived == bytes);
        check_sample(json, decode_sample(json, arrived, [] { return std::size_t{64}; }));
    }
}

TEST_CASE("a meter's values come in the units asked for, with the times that belong to them") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200")).set("clock", std::string("meter"));
    config.point("power", "W", 0).at("value", std::string("powerExport"));
    config.point("energy", "Wh", 0).at("obis", std::string("1-0:1.8.1"));
    config.point("energyJ", "", 0).at("obis", std::string("1-0:1.8.1"));
    config.point("gas", "m3", 0).at("medium", std::string("gas"));
    config.point("failure", "s", 0).at("value", std::string("powerFailure"));
    config.point("id", "", 0).at("value", std::string("meterId"));
    config.point("absent", "V", 0).at("obis", std::string("1-0:14.7.0"));
    config.point("tariff", "", 0).at("value", std::string("tariff"));
    FakeHost host(plugin());
    REQUIRE(host.problems.empty());
    // The frequency is in Hz: V is a mistake.
    CHECK(host.create(config) == THINGS_INVALID);
    REQUIRE(host.problems.size() == 1);
    CHECK(host.problems[0].find("Hz") != std::string::npos);

    TestConfig right;
    right.set("port", pty.path()).set("baud", std::string("115200")).set("clock", std::string("meter"));
    right.point("power", "W", 0).at("value", std::string("powerExport"));
    right.point("energy", "Wh", 0).at("obis", std::string("1-0:1.8.1"));
    right.point("energyJ", "", 0).at("obis", std::string("1-0:1.8.1"));
    right.point("gas", "m3", 0).at("medium", std::string("gas"));
    right.point("failure", "s", 0).at("value", std::string("powerFailure"));
    right.point("id", "", 0).at("value", std::string("meterId"));
    right.point("absent", "Hz", 0).at("obis", std::string("1-0:14.7.0"));
    right.point("tariff", "", 0).at("value", std::string("tariff"));
    FakeHost good(plugin());
    REQUIRE(good.create(right) == THINGS_OK);
    CHECK(good.listen(20) == THINGS_OK); // opens the port
    std::string sample = sample_bytes("nl-dsmr50-3ph-export-4mbus");
    std::jthread meter([&pty, &sample] {
        for (int i = 0; i < 4; ++i)
            pty.send(sample);
    });
    CHECK(listen_until(good, [&good] { return good.of(0).size() == 4; }));
    meter.join();
    CHECK(number(good.of(0)[0].value) == 6318);
    CHECK(std::holds_alternative<std::int64_t>(good.of(1)[0].value));
    CHECK(number(good.of(1)[0].value) == 2614330);
    CHECK(number(good.of(2)[0].value) == 9411588000);
    REQUIRE(good.of(3).size() == 1); // four telegrams, one capture
    CHECK(number(good.of(3)[0].value) == 9812.556);
    CHECK(good.of(3)[0].flags == THINGS_OWN_TIME);
    CHECK(good.of(3)[0].time_ms == 1782040205000);
    REQUIRE(good.of(4).size() == 3); // each power failure once, at its end
    CHECK(good.of(4)[0].time_ms == 1645195442000);
    CHECK(number(good.of(4)[0].value) == 33120);
    CHECK(text(good.of(5)[0].value) == "E9999000000000502");
    CHECK(good.of(6).empty());
    CHECK(number(good.of(7)[0].value) == 2);
    CHECK(good.of(0)[0].time_ms == 1782040365000); // clock: meter
    REQUIRE(good.event("not_sent", THINGS_NOTE) != nullptr);
    CHECK(good.event("not_sent", THINGS_NOTE)->text.find("absent (1-0:14.7.0)") != std::string::npos);
}

TEST_CASE("3,600 telegrams come through a line without one lost while the machine is busy") {
    constexpr int count = 3600;
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200"));
    config.point("energy", "Wh", 0).at("obis", std::string("1-0:1.8.1"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    std::atomic<bool> is_done{false};
    std::vector<std::thread> load;
    for (int i = 0; i < 4; ++i)
        load.emplace_back([&is_done] {
            while (!is_done) {
            }
        });
    std::jthread meter([&pty] {
        for (int i = 0; i < count; ++i)
            pty.send(telegram_of(i));
    });
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    std::size_t next = 0, misplaced = 0;
    while (next < count && std::chrono::steady_clock::now() < deadline) {
        host.listen(100);
        for (; next < host.readings.size(); ++next)
            misplaced += number(host.readings[next].value) == static_cast<double>(next) ? 0U : 1U;
    }
    is_done = true;
    for (std::thread& thread : load)
        thread.join();
    meter.join();
    CHECK(next == count);
    CHECK(misplaced == 0); // each, once, in order
    CHECK(host.event("damaged_telegram") == nullptr);
}

TEST_CASE("damage is told once, not for each telegram, and nothing of it is reported") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200"));
    config.point("energy", "Wh", 0).at("obis", std::string("1-0:1.8.1"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    std::jthread meter([&pty] {
        for (int i = 0; i < 50; ++i) {
            std::string bad = telegram_of(i);
            bad[bad.find("kWh") - 2] ^= 1;
            pty.send(telegram_of(i) + bad);
        }
    });
    CHECK(listen_until(host, [&host] { return host.readings.size() == 50; }));
    meter.join();
    CHECK(host.readings.size() == 50);
    int told = 0;
    for (const TestEvent& event : host.events)
        told += event.code == "damaged_telegram" ? 1 : 0;
    CHECK(told == 1);
}

TEST_CASE("silence raises an alarm that says what was seen, and ends") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200")).set("alarm_after", std::int64_t{200});
    config.point("power", "W", 0).at("value", std::string("power"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(listen_until(host, [&host] { return host.event("silence") != nullptr; }));
    CHECK(host.event("silence")->text.find("not a single byte") != std::string::npos);
    pty.send(telegram_of(1));
    CHECK(listen_until(host, [&host] { return host.event("silence", THINGS_RECOVERED) != nullptr; }));
    CHECK(host.of(0).size() == 1);
}

TEST_CASE("the end of one of several problems does not hide the others") {
    FakeHost host(plugin());
    things_host table{};
    table.context = &host;
    table.report = [](void* context, const things_event* event) {
        static_cast<FakeHost*>(context)->events.push_back({event->kind, 0, 0, event->code, event->text});
    };
    SourceProblems problems{PluginHost(table)};
    TelegramHealth health(problems, "/dev/ttyUSB0");
    FoundTelegram damaged;
    damaged.reason = DamageReason::crc_mismatch;
    const auto what_is_told = [&] {
        std::vector<std::string> result;
        for (const TestEvent& event : host.events)
            result.push_back((event.kind == THINGS_RECOVERED ? "no " : "") + event.code);
        host.events.clear();
        return result;
    };
    using Told = std::vector<std::string>;
    health.on_open(0);
    health.on_good(0);
    health.on_damaged(damaged, 1000);
    health.on_silence("nothing comes in");
    CHECK(what_is_told() == Told{"damaged_telegram", "silence"});
    health.on_good(2000); // telegrams again, but there is still damage among them
    CHECK(what_is_told() == Told{"damaged_telegram"});
    health.on_link_lost("unplugged");
    health.look(1000 + TelegramHealth::calm_ms); // the damage is over, the link is still lost
    CHECK(what_is_told() == Told{"link"});
    health.on_open(700'000);
    CHECK(what_is_told() == Told{"no link"});
}

TEST_CASE("a read by hand waits for the first telegram and then repeats the last, marked as unchanged") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200"));
    config.point("power", "W", 60'000).at("value", std::string("power"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(host.poll({0}, 30) == THINGS_TIMEOUT);
    pty.send(telegram_of(1));
    CHECK(host.poll({0}, 5000) == THINGS_OK);
    REQUIRE(host.readings.size() == 2); // as it came, and for the one who asks
    CHECK(host.readings[0].flags == 0);
    CHECK((host.readings[1].flags & THINGS_UNCHANGED) != 0);
    CHECK(host.poll({0}, 5000) == THINGS_OK);
    CHECK(host.readings.size() == 3);
    CHECK(number(host.readings[2].value) == 405);
}

TEST_CASE("a scan lists everything that the meter sends") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    pty.send(sample_bytes("nl-dsmr50-3ph-export-4mbus"));
    CHECK(host.discover(5000) == THINGS_OK);
    REQUIRE(host.found.size() == 39);
    CHECK(host.found[0] == R"({"meter":"Ene5\\T210-D SYN5.0","version":"50","clock":"260621131245S"})");
    CHECK(host.found[8] == R"({"obis":"1-0:2.7.0","name":"powerExport","value":6.318,"unit":"kW"})");
    simdjson::dom::parser parser;
    for (const std::string& line : host.found)
        CHECK(parser.parse(line).error() == simdjson::SUCCESS);
}

TEST_CASE("the host gets its thread back when it wants it") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path());
    config.point("power", "W", 0).at("value", std::string("power"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    std::jthread caller([&host] { host.interrupt(); });
    auto begin = std::chrono::steady_clock::now();
    CHECK(host.listen(20'000) == THINGS_INTERRUPTED);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    caller.join();
}

TEST_CASE("a cable that is plugged out and in again is opened again") {
    auto link = std::filesystem::temp_directory_path() / fmt::format("p1-port-{}", ::getpid());
    std::filesystem::remove(link);
    auto pty = std::make_unique<Pty>();
    std::filesystem::create_symlink(pty->path(), link);
    TestConfig config;
    config.set("port", link.string()).set("baud", std::string("115200"));
    config.point("power", "W", 0).at("value", std::string("power"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    pty->send(telegram_of(1));
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 1; }));
    Pty other;
    std::filesystem::remove(link);
    pty->hang_up();
    CHECK(listen_until(host, [&host] { return host.event("link") != nullptr; }));
    std::filesystem::create_symlink(other.path(), link);
    CHECK(listen_until(host, [&host] { return host.event("link", THINGS_RECOVERED) != nullptr; }));
    other.send(telegram_of(2));
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 2; }));
    std::filesystem::remove(link);
}

TEST_CASE("a serial server is read over TCP") {
    int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    const timeval patience{20, 0}; // of accept
    ::setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    TestConfig config;
    config.set("host", std::string("127.0.0.1")).set("tcp_port", std::int64_t{ntohs(address.sin_port)});
    config.point("power", "W", 0).at("value", std::string("power"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    std::jthread server([listener] {
        for (int i = 0; i < 2; ++i) { // a server that closes after one telegram
            int peer = ::accept(listener, nullptr, nullptr);
            CHECK(peer >= 0);
            std::string bytes = telegram_of(i);
            CHECK(::write(peer, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
            ::close(peer);
        }
    });
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 2; }));
    server.join();
    ::close(listener);
}

TEST_CASE("an encrypted meter is read with its key, and a wrong key is told") {
    for (bool is_right : {true, false}) {
        CAPTURE(is_right);
        Pty pty;
        TestConfig config;
        config.set("port", pty.path()).set("baud", std::string("115200"));
        config.set("key", std::string(is_right ? "5A17C0DE0011223344556677DEADBEEF"
                                               : "00000000000000000000000000000000"));
        config.point("power", "W", 0).at("value", std::string("power"));
        FakeHost host(plugin());
        REQUIRE(host.create(config) == THINGS_OK);
        host.listen(10);
        std::string bytes = sample_bytes("lu-smarty-encrypted");
        std::jthread meter([&pty, &bytes] { pty.send(bytes); });
        if (is_right) {
            CHECK(listen_until(host, [&host] { return host.of(0).size() == 2; }));
            CHECK(number(host.of(0)[0].value) == 405);
        } else {
            CHECK(listen_until(host, [&host] { return host.event("damaged_telegram") != nullptr; }));
            CHECK(host.readings.empty());
        }
        meter.join();
    }
}

TEST_CASE("mistakes in the configuration are told with their key, and no key is shown") {
    TestConfig config;
    config.set("key", std::string("DEADBEEF")).set("address", std::string("a/b"));
    config.point("a", "", 0).at("obis", std::string("1-0"));
    config.point("b", "", 0).at("value", std::string("pwoer"));
    config.point("c", "W", 0).at("medium", std::string("gas"));
    config.point("d", "", 0).at("value", std::string("power")).writable();
    FakeHost host(plugin());
    CHECK(host.create(config) == THINGS_INVALID);
    std::string all;
    for (const std::string& problem : host.problems)
        all += problem + "\n";
    for (const char* expected :
         {"port: give either", "key: key must", "address: ", "obis: \"1-0\"", "value: \"pwoer\"",
          "m3, which cannot be converted to W", "cannot be written"})
        CHECK_MESSAGE(all.find(expected) != std::string::npos, expected);
    CHECK(all.find("DEADBEEF") == std::string::npos);
}

TEST_CASE("the plan tells how much of its line a meter takes") {
    struct Case {
        std::vector<std::pair<const char*, TestValue>> settings;
        std::string line, sum;
    };
    const std::vector<Case> cases = {
        {{},
         R"("listens_for":"telegrams","bytes":1300,"baud":115200,"ms":113,"period_ms":1000)",
         R"("load":0.1128)"},
        {{{"baud", std::string("9600")}},
         R"("bytes":700,"baud":9600,"ms":729,"period_ms":10000)",
         R"("load":0.0729)"},
        // 2,000 characters of 10 bits at 300 baud do not fit into a minute, if they are so many
        {{{"mode", std::string("mode_c")}, {"max_baud", std::int64_t{300}}},
         R"("readout":"usual")",
         R"("load":1.0000)"},
        {{{"mode", std::string("mode_c")}},
         R"("bytes":2000,"baud":9600,"ms":4017,"interval_ms":60000)",
         R"({"cycle_ms":4016.7,"load":0.0669,"requests":1})"}};
    for (const Case& expected : cases) {
        CAPTURE(expected.line);
        TestConfig config;
        config.set("port", std::string("/dev/ttyUSB0"));
        for (const auto& [key, value] : expected.settings)
            config.set(key, value);
        config.point("power", "W", 60'000).at("value", std::string("power"));
        FakeHost host(plugin());
        REQUIRE(host.create(config) == THINGS_OK);
        CHECK(host.plan() == THINGS_OK);
        REQUIRE(host.found.size() == 2);
        CHECK_MESSAGE(host.found[0].find(expected.line) != std::string::npos, host.found[0]);
        CHECK_MESSAGE(host.found[1].find(expected.sum) != std::string::npos, host.found[1]);
    }
}

TEST_CASE("points are thinned to their interval on a grid, to the nearest telegram") {
    FakeHost host(plugin());
    things_host table{};
    table.context = &host;
    table.emit = [](void* context, const things_reading* reading, std::uint32_t) {
        static_cast<FakeHost*>(context)->readings.push_back(
            {reading->point, {}, reading->time_ms, reading->flags, ""});
    };
    table.report = [](void*, const things_event*) {
    };
    std::vector<P1Point> points(2);
    points[0] = {{"1-0:1.7.0", "", "", 0}, "power", "W", find_scale("W"), 10'000};
    points[1] = {{"", "", "gas", 0}, "gas", "m3", find_scale("m3"), 60'000};
    SourceProblems problems{PluginHost(table)};
    PointOutput output(PluginHost(table), problems, points, false);
    std::int64_t jitter[] = {0, 40, -30, 10, -45};
    std::size_t gas = 0;
    for (int i = 0; i < 3600; ++i) {
        std::string minutes = fmt::format("{:02}", i / 300 * 5 % 60); // a capture every five minutes
        std::string body = "/XXX5T\r\n\r\n1-0:1.7.0(00.405*kW)\r\n0-1:24.1.0(003)\r\n0-1:24.2.1(26010112" +
                           minutes + "00W)(00100.500*m3)\r\n";
        output.take(decode_telegram(body, {}), {1'000'000 + i * 1000 + jitter[i % 5], 0, false});
    }
    for (const TestReading& reading : host.readings)
        gas += reading.point == 1 ? 1 : 0;
    CHECK(gas == 12);
    CHECK(host.readings.size() - gas == 360);
}

TEST_CASE("a meter clock that is far off is put right, unless it is to be believed") {
    for (bool is_believed : {false, true}) {
        FakeHost host(plugin());
        things_host table{};
        table.context = &host;
        table.emit = [](void* context, const things_reading* reading, std::uint32_t) {
            static_cast<FakeHost*>(context)->readings.push_back(
                {reading->point, {}, reading->time_ms, reading->flags, ""});
        };
        table.report = [](void* context, const things_event* event) {
            static_cast<FakeHost*>(context)->events.push_back({event->kind, 0, 0, event->code, event->text});
        };
        std::vector<P1Point> points{{{"", "", "gas", 0}, "gas", "m3", find_scale("m3"), 1}};
        SourceProblems problems{PluginHost(table)};
        PointOutput output(PluginHost(table), problems, points, is_believed);
        // The meter says 12:00:00, it is 10:00:00; the gas was read at 11:55 by that clock.
        std::string body = "/XXX5T\r\n\r\n0-0:1.0.0(260101120000W)\r\n0-1:24.1.0(003)\r\n"
                           "0-1:24.2.1(260101115500W)(00100.500*m3)\r\n";
        constexpr std::int64_t eleven_utc = 1767265200000; // 12:00 in the meter's zone
        output.take(decode_telegram(body, {}), {1000, eleven_utc - 7'200'000, true});
        REQUIRE(host.readings.size() == 1);
        CHECK(host.readings[0].time_ms == eleven_utc - 300'000 - (is_believed ? 0 : 7'200'000));
        CHECK((host.event("meter_clock") != nullptr) == !is_believed);
    }
}

TEST_CASE("the line is searched for: both speeds in turn, longer when one has worked") {
    LineSearch search(std::nullopt, std::nullopt);
    search.begin(0);
    CHECK(to_text(search.current()) == "115200 8N1");
    CHECK_FALSE(search.advance(12'000)); // at least 12 s each
    CHECK(search.advance(12'500));
    CHECK(to_text(search.current()) == "9600 7E1");
    CHECK(search.advance(25'000));
    CHECK(to_text(search.current()) == "115200 8N1");
    search.on_telegram(26'000);
    CHECK_FALSE(search.advance(140'000));
    CHECK(search.advance(146'000));
    LineSearch slow(9600, std::nullopt);
    CHECK(to_text(slow.current()) == "9600 7E1");
    LineSearch given(9600, "8N1");
    CHECK(given.is_fixed());
    CHECK_FALSE(given.advance(1'000'000));
    LineSearch wrong(115200, std::nullopt);
    CHECK(wrong.on_parity_seen(1));
    CHECK(to_text(wrong.current()) == "115200 7E1");
}

TEST_CASE("a line without telegrams is explained by what is seen on it") {
    auto explain = [](std::string_view bytes) {
        LineObserver observer;
        observer.see(bytes);
        return observer.explain();
    };
    CHECK(explain("").find("not a single byte") != std::string::npos);
    CHECK(explain(sample_bytes("lu-smarty-encrypted")).find("set key") != std::string::npos);
    CHECK(explain(sample_bytes("dev-7e1-read-as-8n1")).find("bit 7") != std::string::npos);
    CHECK(explain(sample_bytes("damaged-wrong-crc")).find("cut or damaged") != std::string::npos);
    const std::string hdlc("\x7e\xa0\x08\x01\x02\x01\x10\x5a\x87\x7e", 10); // 8 bytes between the flags
    CHECK(explain(hdlc + hdlc).find("DLMS") != std::string::npos);
    CHECK(explain(hdlc + hdlc.substr(1) + hdlc.substr(1)).find("DLMS") != std::string::npos);
    std::mt19937 random(1); // a wrong speed: neither DLMS nor encrypted
    std::string noise;
    for (int i = 0; i < 75'660; ++i)
        noise += static_cast<char>(random() & 0xffU);
    CHECK_MESSAGE(explain(noise).find("wrong speed") != std::string::npos, explain(noise));
    CHECK(explain("hello, world\r\n").find("right port") != std::string::npos);
}

TEST_CASE("mode C: the block is checked, the speed agreed on") {
    CHECK(check_block("1.8.0(001234.567*kWh)\r\n!\r\n\x03", '\x7A') == "1.8.0(001234.567*kWh)\r\n");
    CHECK_FALSE(check_block("1.8.0(001234.568*kWh)\r\n!\r\n\x03", '\x7A'));
    CHECK(parse_identity("/ABC5ident")->baud == 9600);
    CHECK(parse_identity("/ABCCident")->baud == 2400);
    CHECK_FALSE(parse_identity("/ABCCident")->is_mode_c);
    CHECK_FALSE(parse_identity("/?!"));
    int baud = 0;
    CHECK(acknowledge(*parse_identity("/ABC5ident"), 9600, baud) == "\x06"
                                                                    "050\r\n");
    CHECK(acknowledge(*parse_identity("/ABC6ident"), 4800, baud) == "\x06"
                                                                    "040\r\n");
    CHECK(baud == 4800);
}

TEST_CASE("a meter is read out through an optical head, also when that takes longer than a call") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("mode", std::string("mode_c")).set("address", std::string("12345678"));
    config.set("timeout", std::int64_t{2000});
    config.point("energy", "Wh", 60'000).at("obis", std::string("1.8.0"));
    config.point("serial", "", 60'000).at("obis", std::string("0.0.0"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    bool is_damaged = false;
    SUBCASE("a good block") {}
    SUBCASE("a damaged one") {
        is_damaged = true;
    }
    std::atomic<speed_t> speed{0};
    std::string seen;
    std::jthread meter([&pty, &seen, &speed, is_damaged] {
        seen = pty.receive_until("\r\n");
        pty.send(seen); // the optical head echoes
        pty.send("/ABC5METER\r\n");
        seen += pty.receive_until("\x06"
                                  "050\r\n");
        // The speed is changed behind the acknowledgement.
        auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        for (termios options = pty.settings(); std::chrono::steady_clock::now() < deadline;
             options = pty.settings()) {
            speed = cfgetospeed(&options);
            if (speed == B9600)
                break;
        }
        std::string block =
            "0.0.0(12345678)\r\n1.8.0(001234.567*kWh)\r\n1.8.0*01(001200.000*kWh)\r\n!\r\n\x03";
        char bcc = static_cast<char>(xor8(block) ^ (is_damaged ? 1 : 0));
        pty.send("\x02" + block + bcc);
    });
    int status = host.poll({0, 1}, 1);
    for (int i = 0; i < 400 && host.readings.empty() && host.event("readout") == nullptr; ++i)
        host.listen(20);
    meter.join();
    CHECK(seen == "/?12345678!\r\n\x06"
                  "050\r\n");
    CHECK(speed == B9600);
    if (is_damaged) {
        CHECK(host.readings.empty());
        CHECK(host.event("readout")->text.find("check character") != std::string::npos);
        return;
    }
    CHECK(status == THINGS_OK);
    REQUIRE(host.readings.size() == 2);
    CHECK(number(host.readings[0].value) == 1234567);
    CHECK(text(host.readings[1].value) == "12345678");
}

TEST_CASE("modes A and B: the meter goes on by itself, at its own speed, without an acknowledgement") {
    struct Case {
        const char* identity;
        speed_t speed;
    };
    for (const auto& [identity, expected] : {Case{"/ABC METER\r\n", B300}, Case{"/ABCCMETER\r\n", B2400}}) {
        CAPTURE(identity);
        Pty pty;
        TestConfig config;
        config.set("port", pty.path()).set("mode", std::string("mode_c")).set("timeout", std::int64_t{2000});
        config.point("energy", "Wh", 60'000).at("obis", std::string("1.8.0"));
        FakeHost host(plugin());
        REQUIRE(host.create(config) == THINGS_OK);
        std::string request;
        speed_t speed = B0;
        std::jthread meter([&pty, &request, &speed, line = identity, wanted = expected] {
            request = pty.receive_until("\r\n");
            pty.send(line);
            auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
            while (speed != wanted && std::chrono::steady_clock::now() < deadline) {
                termios options = pty.settings();
                speed = cfgetospeed(&options);
            }
            std::string block = "1.8.0(000042.000*kWh)\r\n!\r\n\x03";
            pty.send("\x02" + block + static_cast<char>(xor8(block)));
            pty.send("A"); // the first byte of what is none of ours any more
        });
        (void)host.poll({0}, 1);
        for (int i = 0; i < 400 && host.readings.empty() && host.event("readout") == nullptr; ++i)
            host.listen(20);
        meter.join();
        CHECK(request == "/?!\r\n"); // and nothing after it
        CHECK(speed == expected);
        REQUIRE(host.readings.size() == 1);
        CHECK(number(host.readings[0].value) == 42000);
    }
}

TEST_CASE("a battery meter is woken with zeros and given its pause before it is asked") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("mode", std::string("mode_c")).set("wake_up", true);
    config.point("volume", "m3", 86'400'000).at("obis", std::string("8-0:1.0.0"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    std::string zeros, request;
    std::chrono::steady_clock::duration pause{};
    std::jthread meter([&] {
        while (zeros.size() < 66)
            zeros += pty.receive_until(std::string(1, '\0'));
        auto woken = std::chrono::steady_clock::now();
        request = pty.receive_until("\n");
        pause = std::chrono::steady_clock::now() - woken;
        pty.send("/ABC5HEAT\r\n");
        CHECK(pty.receive_until("\n") == "\x06"
                                         "050\r\n");
        std::string block = "8-0:1.0.0(00123.456*m3)\r\n!\r\n\x03";
        pty.send("\x02" + block + static_cast<char>(xor8(block)));
    });
    (void)host.poll({0}, 1);
    for (int i = 0; i < 400 && host.readings.empty() && host.event("readout") == nullptr; ++i)
        host.listen(50);
    meter.join();
    CHECK(zeros == std::string(66, '\0')); // 2.2 s at 300 baud
    CHECK(request == "/?!\r\n");
    CHECK(pause >= std::chrono::milliseconds(1500));
    REQUIRE(host.readings.size() == 1);
    CHECK(number(host.readings[0].value) == 123.456);
}

TEST_CASE("a port that hangs up while a sleeping meter is woken is noticed at once") {
    Pty pty;
    OpenedLink opened = open_serial(pty.path(), {300, 7, LineParity::even, 1});
    REQUIRE_MESSAGE(opened.stream, opened.trouble.text);
    ModeCReadout readout({"", true, 9600, std::chrono::milliseconds(3000), {}});
    readout.start();
    // The NULs go out; the pause behind them has begun.
    CHECK(readout.step(*opened.stream, {std::chrono::steady_clock::now(), nullptr}) ==
          ModeCReadout::Progress::busy);
    pty.hang_up();
    CHECK(readout.step(*opened.stream, {std::chrono::steady_clock::now() + std::chrono::seconds(10),
                                        nullptr}) == ModeCReadout::Progress::lost);
    CHECK(readout.error() == "the port hung up (unplugged?)");
}

TEST_CASE("an old meter is read at 9600 7E1") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("9600")).set("frame", std::string("7E1"));
    config.point("power", "W", 0).at("value", std::string("power"));
    config.point("gas", "m3", 0).at("medium", std::string("gas"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    host.listen(10);
    termios options = pty.settings();
    CHECK(cfgetospeed(&options) == B9600);
    CHECK((options.c_iflag & (INPCK | PARMRK)) == (INPCK | PARMRK)); // parity errors are seen
    std::string sample = sample_bytes("nl-dsmr22-two-line-gas");
    for (std::size_t at = 0; at < sample.size(); at += 16) { // as a UART hands them over
        pty.send(sample.substr(at, 16));
        host.listen(1);
    }
    CHECK(listen_until(host, [&host] { return host.of(0).size() == 1 && host.of(1).size() == 1; }));
    CHECK(number(host.of(0)[0].value) == 980);
    CHECK(number(host.of(1)[0].value) == 1124.477);
    CHECK(host.of(1)[0].time_ms == 1770555600000); // 2026-02-08 14:00 in normal time
}

TEST_CASE("a point whose object the meter never sends is told so, and a silent line what is seen on it") {
    Pty pty;
    TestConfig config;
    config.set("port", pty.path()).set("baud", std::string("115200")).set("frame", std::string("8N1"));
    config.point("power", "W", 0).at("obis", std::string("1-0:1.7.0"));
    config.point("never", "W", 0).at("obis", std::string("1-0:99.7.0"));
    FakeHost host(plugin());
    REQUIRE(host.create(config) == THINGS_OK);
    CHECK(host.patience_ms == 12'500);
    auto reason = [&host](std::uint32_t level, std::uint32_t index, const char* part) {
        return std::any_of(host.events.begin(), host.events.end(), [&](const TestEvent& event) {
            return event.kind == THINGS_REASON && event.level == level && event.index == index &&
                   event.text.find(part) != std::string::npos;
        });
    };
    CHECK(host.poll({0, 1}, 50) == THINGS_TIMEOUT);
    CHECK(reason(THINGS_SOURCE, 0, "not a single byte"));
    pty.send("/ABC5\\1\r\n\r\n1-0:1.7.0(00.244*kW)\r\n!\r\n");
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!reason(THINGS_POINT, 1, "in none of 1 telegrams") && std::chrono::steady_clock::now() < deadline)
        host.listen(50);
    CHECK(reason(THINGS_POINT, 1, "1-0:99.7.0"));
    CHECK_FALSE(reason(THINGS_POINT, 0, "in none"));
}
