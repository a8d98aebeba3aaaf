// SPDX-License-Identifier: Apache-2.0
#include "polling/source.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

namespace things {

using namespace test;

// Bad plugins in this process: what can be survived there. The rest is in isolation_test.cpp.

namespace {

std::unique_ptr<Source> start(const std::string& plugin, const std::string& in, const Clock& clock,
                              Ear& ear) {
    SourceWork work = make_work(plugin, 2, Milliseconds(50));
    work.config.isolation = Isolation::none;
    work.config.settings.push_back(make_setting("in", in));
    auto source = make_source(std::move(work), PluginLibrary::load(bad_plugin_file(plugin), true), clock, ear,
                              quick_options());
    source->start();
    return source;
}

} // namespace

TEST_CASE("an exception in any call ends at the border") {
    const SystemClock clock;
    Ear ear;
    auto source = start("throws", "all", clock, ear);
    CHECK(ear.wait([&] { return !source->status().healthy; }));
    source.reset();

    Ear second;
    source = start("throws", "poll", clock, second);
    CHECK(second.wait([&] { return second.of(0).size() >= 20; })); // emitted before it throws
    CHECK(second.heard("plugin"));
    CHECK(second.events().size() <= 2); // a repeating failure is told once
    CHECK(read_now(*source, 0).status == BusResult::Status::ok);
    source.reset();

    Ear third;
    source = start("throws", "write", clock, third);
    const BusResult result = write_now(*source, 0, Value(1.0));
    CHECK(result.status == BusResult::Status::failed);
    CHECK(result.text.find("thrown on purpose") != std::string::npos);
    CHECK(read_now(*source, 0).status == BusResult::Status::ok);
    // and it is over with the next call that works
    CHECK(third.wait([&] { return third.events().back().kind == SourceEvent::Kind::recovered; }));
}

TEST_CASE("a source that cannot be made says why and is tried again") {
    const SystemClock clock;
    Ear ear;
    auto source = start("create_fails", "poll", clock, ear);
    CHECK(ear.wait([&] { return source->status().state.find("is not what I wanted") != std::string::npos; }));
    CHECK_FALSE(source->status().healthy);
    CHECK(read_now(*source, 0).text.find("is not what I wanted") != std::string::npos);
    source->stop();
    CHECK(source->join(seconds(3)));
}

TEST_CASE("a plugin that hangs is told of, what waits for it is answered, and stop is prompt") {
    const SystemClock clock;
    // Its thread goes on when the test is over, so the listener must be cut off: it is destroyed right here.
    {
        Ear ear;
        auto source = start("sleeps", "write", clock, ear);
        REQUIRE(ear.wait([&] { return ear.of(0).size() >= 3; }));
        std::atomic<int> answered{0};
        source->write(0, Value(1.0), INT64_MAX, [&answered](const BusResult& result) {
            CHECK(result.status == BusResult::Status::timeout);
            ++answered;
        });
        source->read(0, [&answered](const BusResult& result) {
            CHECK(result.status == BusResult::Status::failed);
            ++answered;
        });
        CHECK(ear.wait([&] {
            source->check();
            return ear.heard("hanging");
        }));
        CHECK(answered == 2);
        CHECK(source->status().state.find("hanging since") == 0);
        CHECK(source->status().state.find("in write") != std::string::npos);
        CHECK_FALSE(source->status().healthy);
        const auto begin = std::chrono::steady_clock::now();
        source->stop();
        CHECK_FALSE(source->join(Milliseconds(200)));
        CHECK(std::chrono::steady_clock::now() - begin < seconds(2));
    }
}

TEST_CASE("a plugin that comes back late reaches nobody once it was left behind") {
    const SystemClock clock;
    auto ear = std::make_unique<Ear>();
    auto source = start("slow_return", "poll", clock, *ear);
    REQUIRE(ear->wait([&] { return ear->of(0).size() >= 1; }));
    source->stop();
    CHECK_FALSE(source->join(Milliseconds(50)));
    source.reset();
    ear.reset();
    // Nothing to see here but for a sanitizer; the thread ends within two seconds, in the time of other
    // tests.
}

TEST_CASE("a late return is told with its length") {
    const SystemClock clock;
    Ear ear;
    auto source = start("slow_return", "poll", clock, ear);
    CHECK(ear.wait([&] {
        source->check();
        return ear.events().size() >= 2;
    }));
    CHECK(ear.events().front().code == "hanging");
    CHECK(ear.events()[1].kind == SourceEvent::Kind::recovered);
    source->stop();
    CHECK(source->join(seconds(5)));
}

TEST_CASE("garbage, floods and strange threads are met here too") {
    const SystemClock clock;
    for (const char* plugin : {"garbage", "floods", "spawns_threads"}) {
        CAPTURE(plugin);
        Ear ear;
        auto source = start(plugin, "poll", clock, ear);
        CHECK(ear.wait([&] { return source->status().polls >= 3 && ear.of(1).size() >= 3; }));
        CHECK(ear.readings().size() < 50'000);
        for (const PointReading& reading : ear.readings())
            CHECK(std::holds_alternative<std::int64_t>(reading.value));
        CHECK(ear.events().size() <= 12);
        source->stop();
        CHECK(source->join(seconds(10)));
    }
}

} // namespace things
