// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>

using namespace things;

namespace {

constexpr std::int64_t limit = 600'000;

/// A queue that nothing leaves, fed until it is long full.
struct LimitRig : QueueRig {
    SeriesId series = 0;
    double next = 0;
    std::int64_t largest = 0;
    LimitRig() {
        log::set_level(log::Level::error);
        options.config.max_size = limit;
        options.config.commit_interval = std::chrono::hours(1000);
        options.cache_limit = 0;
    }
    ~LimitRig() { log::set_level(log::Level::info); }
    void start() {
        open();
        series = queue->series(queue->device("a"), "v", "");
    }
    void feed(int rounds) {
        for (int round = 0; round < rounds; ++round) {
            for (int i = 0; i < 2000; ++i) {
                clock.advance(10);
                queue->append(reading(series, (next += 1) + 0.5));
            }
            REQUIRE(commit());
            std::int64_t size = 0;
            for (const char* suffix : {"", "-wal"}) {
                std::error_code error;
                const auto n = std::filesystem::file_size(options.config.path.string() + suffix, error);
                size += error ? 0 : static_cast<std::int64_t>(n);
            }
            largest = std::max(largest, size);
            const QueueStatus s = queue->status();
            REQUIRE(s.books.queued() == s.queued);
        }
    }
    std::vector<double> drain() {
        std::vector<double> values;
        for (const Lane lane : {Lane::backlog, Lane::live})
            for (;;) {
                const Batch b = take(0, lane, 3000);
                if (b.readings.empty())
                    break;
                for (const Reading& r : b.readings)
                    values.push_back(std::get<double>(r.value));
                accept(b);
            }
        return values;
    }
};

} // namespace

TEST_CASE("a full queue keeps its size and drops by policy, counted") {
    LimitRig rig;
    SUBCASE("drop_oldest") {
        rig.options.config.when_full = WhenFull::drop_oldest;
    }
    SUBCASE("drop_newest") {
        rig.options.config.when_full = WhenFull::drop_newest;
    }
    rig.start();
    rig.feed(300);
    CHECK(rig.largest < limit + 70'000); // a block or two over
    const std::uint64_t queued = rig.queue->status().queued;
    CHECK(rig.queue->status().books.dropped[0] == 600'000 - queued);
    CHECK(queued > 20'000);
    SUBCASE("") {}
    SUBCASE("and after a power cut") {
        rig.power_cut();
    }
    const std::vector<double> values = rig.drain();
    CHECK(values.size() == queued);
    CHECK(rig.queue->status().queued == 0);
    CHECK(std::is_sorted(values.begin(), values.end()));
    CHECK(rig.queue->status().books.dropped[static_cast<std::size_t>(DropReason::damaged)] == 0);
    if (rig.options.config.when_full == WhenFull::drop_newest)
        CHECK(values.front() == 1.5);
    else
        CHECK(values.back() == 600'000.5);
}

TEST_CASE("readings older than max_age go, counted") {
    LimitRig rig;
    rig.options.config.max_size = std::int64_t{1} << 30;
    rig.options.config.max_age = std::chrono::seconds(1000);
    rig.start();
    rig.feed(150); // 20 s each
    const std::uint64_t queued = rig.queue->status().queued;
    CHECK(queued >= 100'000);
    CHECK(queued < 100'000 + 2 * 60'000); // within a block
    CHECK(rig.queue->status().books.dropped[static_cast<std::size_t>(DropReason::age)] == 300'000 - queued);
    CHECK(rig.drain().size() == queued);
}

TEST_CASE("readings that grow older than max_age on their way stay until the answer, and are counted once") {
    LimitRig rig;
    rig.options.config.max_size = std::int64_t{1} << 30;
    rig.options.config.max_age = std::chrono::seconds(1000);
    rig.start();
    rig.feed(40); // 800 s, nearly all of them in blocks on flash alone
    const Batch sent = rig.take(0, Lane::backlog, 1000);
    rig.clock.advance(2'000'000);
    REQUIRE(rig.commit());
    REQUIRE(rig.commit());
    CHECK(rig.queue->status().queued == 1000);
    std::uint64_t accepted = 0, dead = 0;
    SUBCASE("accepted") {
        rig.accept(sent);
        accepted = 1000;
    }
    SUBCASE("to be sent again: now they go too") {
        rig.keep(sent);
    }
    SUBCASE("some of each, and one set aside") {
        rig.queue->settle(sent, 0, 400, Fate::accepted, "");
        rig.queue->settle(sent, 400, 1, Fate::dead, "refused");
        rig.queue->settle(sent, 401, 599, Fate::kept, "");
        accepted = 400;
        dead = 1;
    }
    SUBCASE("the power goes before an answer: they are read from flash once more") {
        rig.power_cut();
        const Batch again = rig.take(0, Lane::backlog, 80'000);
        CHECK(again.sequence == sent.sequence);
        rig.accept(again);
        accepted = 1000;
    }
    REQUIRE(rig.commit());
    const QueueStatus s = rig.queue->status();
    CHECK(s.queued == 0);
    CHECK(s.books.queued() == 0);
    CHECK(s.books.accepted == accepted);
    CHECK(s.books.dead == dead);
    CHECK(s.books.dropped[static_cast<std::size_t>(DropReason::age)] == 80'000 - accepted - dead);
    CHECK(s.books.dropped_total() == 80'000 - accepted - dead);
    CHECK(rig.drain().empty());
}

TEST_CASE("dropping a device leaves the others alone") {
    LimitRig rig;
    rig.options.config.max_size = std::int64_t{1} << 30;
    rig.start();
    rig.feed(3);
    const SeriesId other = rig.queue->series(rig.queue->device("b"), "v", "");
    rig.queue->append(rig.reading(other, 1));
    rig.queue->drop_device(0);
    CHECK(rig.queue->status().queued == 1);
    CHECK(rig.queue->status().books.dropped[static_cast<std::size_t>(DropReason::removed)] == 6000);
    REQUIRE(rig.commit());
    rig.power_cut();
    CHECK(rig.queue->status().queued == 1);
}

TEST_CASE("the hot log that cannot be written is an alarm, and flash is used more often") {
    LimitRig rig;
    rig.options.config.commit_interval = std::chrono::seconds(10);
    rig.options.config.hot_path = "/proc/nowhere";
    rig.start();
    const auto has_alarm = [&rig] {
        const QueueStatus s = rig.queue->status();
        return std::any_of(s.alarms.begin(), s.alarms.end(),
                           [](const QueueAlarm& a) { return a.code == "hot"; });
    };
    CHECK(has_alarm());
    rig.queue->append(rig.reading(rig.series, 1));
    rig.clock.advance(1100);
    rig.queue->tick();
    rig.run_until([&rig] { return rig.queue->status().commits > 0; });
    rig.reopen();
    CHECK(rig.queue->status().queued == 1);
}

TEST_CASE("nothing is written to flash while nothing happens") {
    LimitRig rig;
    rig.options.config.commit_interval = std::chrono::seconds(10);
    rig.options.config.max_size = std::int64_t{1} << 30;
    rig.start();
    rig.feed(1);
    rig.drain();
    REQUIRE(rig.commit());
    const std::uint64_t before = rig.queue->status().bytes_written;
    for (int i = 0; i < 100; ++i) {
        rig.clock.advance(1000);
        rig.queue->tick();
        rig.loop.restart();
        rig.loop.poll();
    }
    CHECK(rig.queue->status().bytes_written == before);
}

TEST_CASE("the audit of commands has a number and a tenth of the queue, whoever fills it") {
    LimitRig rig;
    std::size_t most = 0;
    SUBCASE("its share of a small queue") {
        rig.options.config.max_size = std::int64_t{1} << 20;
        most = 2000; // of 60 bytes and more each
    }
    SUBCASE("10,000 in a large one") {
        rig.options.config.max_size = std::int64_t{1} << 30;
        most = 10'000;
    }
    rig.start();
    Command waiting;
    waiting.dvnuuid = waiting.device = "a";
    waiting.point = "pump";
    waiting.value = true;
    std::vector<Command> flood(100, waiting);
    for (Command& command : flood) {
        command.point = "nope";
        command.state = CommandState::refused;
        command.verdict = "refused: the device has no such point";
    }
    const auto store = [&rig](const std::vector<Command>& commands) {
        bool is_stored = false;
        rig.queue->store(commands, [&is_stored](const std::vector<Command>&, bool) { is_stored = true; });
        rig.run_until([&is_stored] { return is_stored; });
    };
    store({waiting});
    for (int i = 0; i < 120; ++i) {
        rig.clock.advance(1000);
        for (Command& command : flood)
            command.ended_wall_ms = rig.clock.wall;
        store(flood);
    }
    std::size_t kept = 0;
    rig.queue->load_audit("", 100'000,
                          [&kept](const std::vector<Command>& commands) { kept = commands.size(); });
    rig.run_until([&kept] { return kept > 0; });
    CHECK(kept <= most + 1);
    CHECK(kept > most / 4);
    REQUIRE(rig.queue->unfinished().size() == 1); // what has not ended is no audit
    rig.reopen();
    CHECK(rig.queue->unfinished().size() == 1);
    CHECK(rig.queue->status().file_size < (most == 10'000 ? 4 : 1) * (std::int64_t{1} << 20));
}
