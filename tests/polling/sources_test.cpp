// SPDX-License-Identifier: Apache-2.0
#include "polling/sources.hpp"

#include "support/source_fixture.hpp"
#include "support/temp_dir.hpp"

#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <map>

#include <dlfcn.h>
#include <pthread.h>

namespace {

/// How many threads may still be made; below 0: as many as the machine has.
std::atomic<int> threads_left{-1};

} // namespace

// What a unit's TasksMax does to a process: EAGAIN.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                              void* argument) noexcept {
    using Real = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static const auto real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "pthread_create"));
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        --threads_left;
    return real(thread, attributes, body, argument);
}

namespace things {

using namespace test;

namespace {

/// The machine's clock, put forward by the test.
class MovedClock final : public SystemClock {
public:
    [[nodiscard]] std::int64_t boot_ms() const override { return SystemClock::boot_ms() + ahead_ms; }
    std::atomic<std::int64_t> ahead_ms{0};
};

/// The sources of a gateway on a loop of the test's.
class Site {
public:
    Site() : sources(loop, clock, quick_options(), hooks()) {}
    ~Site() { threads_left = -1; }

    /// Runs the loop until `condition`, 20 s at most.
    template <typename Condition>
    bool wait(const Condition& condition) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!condition() && std::chrono::steady_clock::now() < until)
            if (loop.run_one_for(std::chrono::milliseconds(10)) == 0)
                loop.restart(); // it ran out of work
        return condition();
    }
    std::size_t prepare(Work work) { return sources.prepare(std::move(work), plugins).size(); }
    void commit() {
        is_done = false;
        sources.commit([this](std::vector<std::string> names) {
            is_done = true;
            changed = std::move(names);
        });
    }
    [[nodiscard]] std::size_t events(const std::string& code, SourceEvent::Kind kind) const {
        return static_cast<std::size_t>(
            std::count_if(told.begin(), told.end(), [&](const SourceEvent& event) {
                return event.code == code && event.kind == kind;
            }));
    }

    boost::asio::io_context loop;
    MovedClock clock;
    PluginDirectory plugins{
        {plugin_file("simulated").parent_path()}, plugin_file("simulated").parent_path(), quick_options()};
    std::map<std::string, std::uint64_t> read; ///< by source, what would go into the queue
    std::vector<SourceEvent> told;
    std::vector<std::string> changed;
    bool is_done = false;
    Sources sources;

private:
    SourceHooks hooks() {
        SourceHooks hooks;
        hooks.series_of = [](const std::string&, const PointConfig&) {
            return SeriesId{};
        };
        hooks.on_readings = [this](const RunningSource& source, std::vector<PointReading>& readings) {
            for (const PointReading& reading : readings)
                read[source.work->config.name] += reading.report ? 1 : 0;
        };
        hooks.on_event = [this](const RunningSource&, const SourceEvent& event) {
            told.push_back(event);
        };
        hooks.on_flood = [](std::uint64_t) {
        };
        return hooks;
    }
};

Work simulated(int count, std::int64_t seed = 1) {
    Work work;
    for (int i = 0; i < count; ++i) {
        work.sources.push_back(make_work("simulated", 1, Milliseconds(50)));
        work.sources.back().config.name = "s" + std::to_string(i);
        work.sources.back().config.settings = {make_setting("seed", seed)};
    }
    return work;
}

} // namespace

TEST_CASE("a reload that needs more threads than there are changes nothing") {
    Site site;
    REQUIRE(site.prepare(simulated(2)) == 0);
    site.commit();
    REQUIRE(site.wait([&] { return site.read["s0"] > 0 && site.read["s1"] > 0; }));
    threads_left = 1;
    CHECK(site.prepare(simulated(5, 2)) > 0); // needs three more
    site.sources.discard();
    const std::uint64_t before = site.read["s1"];
    CHECK(site.wait([&] { return site.read["s1"] > before; }));
    CHECK(site.sources.view().size() == 2);
    CHECK(site.told.empty());
    // One that changes all of them needs none.
    threads_left = 2;
    CHECK(site.prepare(simulated(2, 3)) == 0);
    site.commit();
    CHECK(site.wait([&] { return site.is_done; }));
    CHECK(site.changed == std::vector<std::string>{"s0", "s1"});
}

TEST_CASE("at a start, a source that cannot be started is a problem of its own and is tried again") {
    Site site;
    threads_left = 2;
    CHECK(site.prepare(simulated(4)) == 2);
    site.commit();
    REQUIRE(site.wait([&] { return site.read["s0"] > 0 && site.read["s1"] > 0; }));
    CHECK(site.events("start", SourceEvent::Kind::problem) == 2);
    CHECK(site.told[0].text == "it cannot be started: cannot start a thread for source s2: Resource "
                               "temporarily unavailable; the others run, it is tried again each minute");
    CHECK_FALSE(site.sources.view()[3].status.healthy);
    std::string answer;
    site.sources.read("d", "p0", [&](BusResult result) { answer = result.text; });
    // Its own failure is no reason to refuse a reload.
    CHECK(site.prepare(simulated(4, 1)) == 0);
    site.sources.discard();
    threads_left = -1;
    site.clock.ahead_ms += 61'000;
    site.sources.check(); // one a turn, if the first cannot be had neither can the next
    site.sources.check();
    CHECK(site.wait([&] { return site.read["s2"] > 0 && site.read["s3"] > 0; }));
    CHECK(site.events("start", SourceEvent::Kind::recovered) == 2);
}

TEST_CASE("what takes a source's place begins when that has ended, and the loop does not wait") {
    const TempDir folder;
    const std::string lock = (folder.path() / "port").string(), clash = (folder.path() / "clash").string();
    // Holds the port for more than a second after it was asked to end, as a thermostat that saves its state.
    const std::string script =
        "mkdir " + lock + " || touch " + clash + "\ntrap 'sleep 1.3; rmdir " + lock +
        "; exit' TERM\nwhile :; do echo '{\"point\":\"p0\",\"value\":1}'; sleep 0.05; done";
    const auto work_of = [&script](const std::string& greeting) {
        Work work;
        work.sources.push_back(make_work("exec", 1, Milliseconds(50)));
        SourceWork& source = work.sources.back();
        source.config.name = "thermostat";
        Setting command = make_setting("command", std::monostate());
        command.items = {std::string("/bin/sh"), std::string("-c"), script};
        Setting environment = make_setting("environment", std::monostate());
        environment.items = {std::string("GREETING"), greeting};
        source.config.settings = {command, environment, make_setting("stop_time", std::int64_t{3000})};
        source.points[0].config.report.aggregate = Aggregate::mean;
        source.points[0].config.report.window = hours(1);
        return work;
    };
    Site site;
    REQUIRE(site.prepare(work_of("hello")) == 0);
    site.commit();
    REQUIRE(site.wait([&] { return site.sources.view()[0].status.readings > 3; }));
    CHECK(site.read["thermostat"] == 0); // its window ends in an hour
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(site.prepare(work_of("good evening")) == 0);
    site.commit();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
    CHECK_FALSE(site.is_done);
    CHECK(site.wait([&] { return site.is_done; }));
    CHECK(std::chrono::steady_clock::now() - start > std::chrono::seconds(1));
    CHECK(site.read["thermostat"] == 1); // the present window of the one that ended
    CHECK(site.wait([&] { return site.sources.view()[0].status.readings > 3; }));
    CHECK_FALSE(std::filesystem::exists(clash));
}

} // namespace things
