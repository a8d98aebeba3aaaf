// SPDX-License-Identifier: Apache-2.0
#include "polling/source.hpp"

#include "polling/outlet.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <utility>

namespace things {

using namespace test;
using std::chrono::milliseconds;

namespace {

std::shared_ptr<const PluginLibrary> simulated() {
    return PluginLibrary::load(plugin_file("simulated"), true);
}

} // namespace

TEST_CASE("a simulated point needs no keys, and keeps its beat") {
    const SystemClock clock;
    Ear ear;
    auto source = make_source(make_work("simulated", 3, milliseconds(50)), simulated(), clock, ear);
    source->start();
    CHECK(ear.wait([&] { return ear.of(0).size() >= 10 && ear.of(2).size() >= 10; }));
    CHECK(source->status().state == "running");
    source->stop();
    CHECK(source->join(seconds(5)));
    for (const PointReading& reading : ear.readings()) {
        CHECK(std::holds_alternative<double>(reading.value));
        CHECK(reading.stamp.clock == Stamp::Clock::wall);
        CHECK(reading.report);
    }
    const SourceStatus status = source->status();
    CHECK(status.readings == ear.readings().size());
    CHECK(status.state == "stopped");
}

TEST_CASE("readings carry the stamp they are given") {
    const SystemClock clock;
    Ear ear;
    SourceOptions options;
    options.now = [] {
        return Stamp{4711, Stamp::Clock::boot};
    };
    auto source = make_source(make_work("simulated", 1, milliseconds(20)), simulated(), clock, ear, options);
    source->start();
    REQUIRE(ear.wait([&] { return !ear.readings().empty(); }));
    CHECK(ear.readings().front().stamp == Stamp{4711, Stamp::Clock::boot});
}

TEST_CASE("a written value reads back, and the word of a label is its raw value") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("simulated", 2, seconds(3600));
    work.points[1].config.labels = {{0, "off"}, {1, "on"}};
    auto source = make_source(work, simulated(), clock, ear);
    source->start();
    const BusResult written = write_now(*source, 0, Value(21.5));
    CHECK(written.status == BusResult::Status::ok);
    CHECK(written.value == Value(21.5));
    const BusResult read = read_now(*source, 0);
    CHECK(read.status == BusResult::Status::ok);
    CHECK(read.value == Value(21.5));
    CHECK(write_now(*source, 1, Value(std::string("on"))).value == Value(std::string("on")));
    CHECK(read_now(*source, 1).value == Value(std::string("on")));
    CHECK(write_now(*source, 1, Value(std::string("ajar"))).status == BusResult::Status::refused);
    CHECK(write_now(*source, 9, Value(1.0)).status == BusResult::Status::refused);
    CHECK(read_now(*source, 9).status == BusResult::Status::refused);
}

TEST_CASE("a command goes before polls, even in the middle of a slow one") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("simulated", 1, milliseconds(100));
    work.config.settings.push_back(make_setting("delay", std::int64_t{3000}));
    auto source = make_source(work, simulated(), clock, ear);
    source->start();
    REQUIRE(ear.wait([&] { return source->status().state == "running"; }));
    const auto start = std::chrono::steady_clock::now();
    CHECK(write_now(*source, 0, Value(1.0)).status == BusResult::Status::ok);
    // Its own delay of 3 s, but not that of the poll before it as well.
    CHECK(std::chrono::steady_clock::now() - start < milliseconds(5500));
}

TEST_CASE("stop is prompt and answers what waits") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("simulated", 1, seconds(3600));
    work.config.settings.push_back(make_setting("delay", std::int64_t{60'000}));
    auto source = make_source(work, simulated(), clock, ear);
    source->start();
    std::atomic<int> answered{0};
    for (int i = 0; i < 3; ++i)
        source->read(0, [&answered](const BusResult& result) {
            CHECK(result.status == BusResult::Status::stopped);
            ++answered;
        });
    source->stop();
    CHECK(source->join(seconds(3)));
    CHECK(answered == 3);
    source->read(0, [&answered](const BusResult&) { ++answered; });
    CHECK(answered == 4);
}

TEST_CASE("after a fault in its thread a source is started again, and what was asked is answered") {
    /// As if there were no memory for the first event of all.
    struct Faulty final : SourceListener {
        void on_readings(std::vector<PointReading>) override {}
        void on_event(SourceEvent event) override {
            if (std::exchange(is_first, false))
                throw std::runtime_error("no room for this");
            ear.on_event(std::move(event));
        }
        bool is_first = true;
        Ear ear;
    };
    const SystemClock clock;
    Faulty faulty;
    auto source = make_source(make_work("create_fails", 1, seconds(1)),
                              PluginLibrary::load(bad_plugin_file("create_fails"), true), clock, faulty);
    source->start();
    CHECK(faulty.ear.wait([&] { return faulty.ear.heard("died"); }));
    CHECK(faulty.ear.events().front().text.find("no room for this; it is started again in ") !=
          std::string::npos);
    CHECK(read_now(*source, 0).status == BusResult::Status::failed);
    CHECK(faulty.ear.wait([&] { return faulty.ear.heard("create"); }));
}

TEST_CASE("a request that is put back is answered once, whoever does it") {
    const SystemClock clock;
    Ear ear;
    Outlet outlet(clock, ear, {}, {});
    Inbox inbox;
    int answers = 0;
    const Request read = ReadRequest{0, [&answers](const BusResult&) {
                                         ++answers;
                                     }};
    outlet.expect(read);
    REQUIRE(outlet.put_back(inbox));
    outlet.dismiss(BusResult::Status::timeout, "hangs");
    CHECK(answers == 0);
    for (Request& request : inbox.drain())
        Outlet::dismiss(std::move(request), BusResult::Status::failed, "hangs");
    CHECK(answers == 1);
    // One that does not take it leaves it where it was.
    inbox.close();
    outlet.expect(read);
    CHECK_FALSE(outlet.put_back(inbox));
    outlet.dismiss(BusResult::Status::timeout, "hangs");
    CHECK(answers == 2);
}

TEST_CASE("a point that fails on purpose is reported at its beginning and its end") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("simulated", 1, milliseconds(20));
    work.points[0].config.settings.push_back(make_setting("fail_every", std::int64_t{3}));
    auto source = make_source(work, simulated(), clock, ear);
    source->start();
    CHECK(ear.wait([&] { return ear.events().size() >= 2; }));
    const auto events = ear.events();
    CHECK(events[0].kind == SourceEvent::Kind::problem);
    CHECK(events[0].level == Level::point);
    CHECK(events[1].kind == SourceEvent::Kind::recovered);
    CHECK(ear.wait([&] { return source->status().polls > 100; }));
    CHECK(ear.events().size() <= 10); // a minute
}

} // namespace things
