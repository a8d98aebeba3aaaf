// SPDX-License-Identifier: Apache-2.0
#include "support/fake_plugin_host.hpp"
#include "support/rtu_line/rtu_line.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

// A write is sent once, on each kind of link: a second one is a second pulse of a relay.
using namespace things;

namespace {

using Value = FakePluginHost::Value;
using Log = std::vector<std::string>;
using Kind = UnitFault::Kind;
using namespace std::chrono_literals;

constexpr std::uint32_t write_only = THINGS_WRITABLE | THINGS_WRITE_ONLY,
                        momentary = THINGS_WRITABLE | THINGS_MOMENTARY;

enum class Link { tcp, rtu_over_tcp, rtu };

/// Unit 1 behind one kind of link: coil 3 and holding register 10, answers awaited for 200 ms.
class Site {
public:
    explicit Site(Link link, std::uint32_t writable = THINGS_WRITABLE) {
        if (link == Link::rtu) {
            line_ = std::make_unique<RtuLine>(RtuLine::Timing::of(115200, 10, 1000));
            line_->units.add(1);
            config.source.set("port", line_->path()).set("baud", 115200);
        } else {
            tcp_ = std::make_unique<TcpDevice>(link == Link::rtu_over_tcp);
            config.source.set("host", "127.0.0.1").set("tcp_port", tcp_->port());
            if (link == Link::rtu_over_tcp)
                config.source.set("framing", "rtu");
        }
        config.source.set("timeout", 200).set("retries", 3);
        config.devices.push_back({"relay", FakeSettings().set("gap", 0)});
        config.points.push_back({0, "pulse", FakeSettings().set("coil", 3), writable});
        config.points.push_back({0, "level", FakeSettings().set("holding", 10), writable});
    }
    ModbusUnits& units() { return tcp_ ? tcp_->units : line_->units; }
    void drop_all() { tcp_->drop_all(); }
    /// Requests that write, since the last call.
    Log writes() {
        Log log = units().take_log();
        std::erase_if(log, [](const std::string& line) { return line[2] < '5' && line[3] == ' '; });
        return log;
    }
    FakeConfig config;
    FakePluginHost host;

private:
    std::unique_ptr<TcpDevice> tcp_;
    std::unique_ptr<RtuLine> line_;
};

/// Plays `fault` on writes alone.
void fail_writes(ModbusUnits& units, UnitFault fault) {
    units.on_request(
        [fault](const UnitRequest& request) { return request.function > 4 ? fault : UnitFault{}; });
}

} // namespace

TEST_CASE("a write whose answer is lost makes one pulse, and is not known to be done") {
    for (const Link link : {Link::tcp, Link::rtu_over_tcp, Link::rtu})
        for (const UnitFault fault :
             {UnitFault{Kind::none, 500ms}, UnitFault{Kind::silent}, UnitFault{Kind::damaged},
              UnitFault{Kind::other_unit}, UnitFault{Kind::short_frame}, UnitFault{Kind::close}}) {
            if (fault.kind == Kind::close && link == Link::rtu)
                continue; // a line has nothing to close
            if (fault.kind == Kind::damaged && link == Link::tcp)
                continue; // TCP frames have no checksum
            CAPTURE(static_cast<int>(link));
            CAPTURE(static_cast<int>(fault.kind));
            Site site(link);
            FakeSource source(*things_plugin_entry(), site.host, site.config);
            REQUIRE(source.status == THINGS_OK);
            CHECK(source.poll_all() == THINGS_OK);
            fail_writes(site.units(), fault);
            CHECK(source.write(0, true) == THINGS_TIMEOUT);
            CHECK(site.host.events.back().text.find("Whether it was written is not known; it is not sent") !=
                  std::string::npos);
            CHECK(source.write(1, std::int64_t{7}) == THINGS_TIMEOUT);
            CHECK(site.host.events.back().text.find("`write_function: multiple`") != std::string::npos);
            const std::int64_t until =
                monotonic_ms() + 20000; // what is read decides; a reconnection may wait
            while (source.poll_all() != THINGS_OK && monotonic_ms() < until) {
            }
            CHECK(site.writes() == Log{"1 5 3+1", "1 6 10+1"});
            CHECK(site.host.last(0) == Value(true));
            CHECK(site.host.last(1) == Value(std::int64_t{7}));
        }
}

TEST_CASE("a connection that the device closed while it was idle costs no command") {
    for (const Link link : {Link::tcp, Link::rtu_over_tcp}) {
        Site site(link);
        FakeSource source(*things_plugin_entry(), site.host, site.config);
        CHECK(source.poll_all() == THINGS_OK);
        site.drop_all();
        // Until the kernel has heard of it.
        const std::int64_t until = monotonic_ms() + 20000;
        int status = THINGS_TIMEOUT;
        while (status != THINGS_OK && monotonic_ms() < until)
            status = source.write(0, true);
        CHECK(status == THINGS_OK);
        CHECK(site.writes() == Log{"1 5 3+1"});
    }
}

TEST_CASE("exception 5 to a write: it is being done, so it is read back and not sent again") {
    for (const Link link : {Link::tcp, Link::rtu_over_tcp, Link::rtu}) {
        Site site(link);
        int looks = 0;
        site.units().on_request([&site, &looks](const UnitRequest& request) {
            if (request.function > 4)
                return UnitFault{Kind::exception, 0ms, 5};
            ++looks;
            return looks < 4 ? UnitFault{} : UnitFault{Kind::none, 1ms};
        });
        FakeSource source(*things_plugin_entry(), site.host, site.config);
        SUBCASE("done within the device's time") {
            site.units().set(1, 'h', 10, {7}); // as it will be
            CHECK(source.write(1, std::int64_t{7}) == THINGS_OK);
            CHECK(site.units().take_log() == Log{"1 6 10+1", "1 3 10+1"});
        }
        SUBCASE("never done") {
            CHECK(source.write(1, std::int64_t{7}) == THINGS_TIMEOUT);
            CHECK(site.host.events.back().code == "acknowledge");
            CHECK(site.writes() == Log{"1 6 10+1"});
        }
    }
}

TEST_CASE("a device that is busy has done nothing and is asked again; a pulse is not") {
    for (const Link link : {Link::tcp, Link::rtu_over_tcp, Link::rtu}) {
        for (const std::uint32_t kind : {std::uint32_t{THINGS_WRITABLE}, momentary}) {
            Site site(link, kind);
            int writes = 0;
            site.units().on_request([&writes](const UnitRequest& request) {
                return request.function > 4 && ++writes == 1 ? UnitFault{Kind::exception, 0ms, 6}
                                                             : UnitFault{};
            });
            FakeSource source(*things_plugin_entry(), site.host, site.config);
            if (kind == momentary) {
                CHECK(source.write(0, true) == THINGS_REFUSED);
                CHECK(site.writes() == Log{"1 5 3+1"});
            } else {
                CHECK(source.write(0, true) == THINGS_OK);
                CHECK(site.writes() == Log{"1 5 3+1", "1 5 3+1"});
            }
        }
    }
}

TEST_CASE(
    "a point that can only be written is never read: not to plan, not to write it, not by exception 5") {
    Site site(Link::tcp, write_only);
    FakeSource source(*things_plugin_entry(), site.host, site.config);
    REQUIRE(source.status == THINGS_OK);
    CHECK(source.write(1, std::int64_t{4711}) == THINGS_OK);
    fail_writes(site.units(), UnitFault{Kind::exception, 0ms, 5});
    CHECK(source.write(1, std::int64_t{4712}) == THINGS_OK);
    CHECK(site.units().take_log() == Log{"1 6 10+1", "1 6 10+1"});
    CHECK(source.plan() == THINGS_OK);
    CHECK(site.host.found == Log{R"({"cycle_ms":0,"load":0,"requests":0})"});
}

TEST_CASE("what needs a look at the register cannot be write_only") {
    for (const char* key : {"bit", "mask", "scale_from"}) {
        Site site(Link::tcp, write_only);
        site.config.points[1].settings.set(key, 3);
        FakeSource source(*things_plugin_entry(), site.host, site.config);
        CHECK(source.status != THINGS_OK);
        REQUIRE(site.host.problems.size() == 1);
        CHECK(site.host.problems[0].key == key);
    }
}
