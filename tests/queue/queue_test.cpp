// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "queue/clock_trust.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>

using namespace things;

namespace {

void check_books(const Queue& queue) {
    const QueueStatus s = queue.status();
    CHECK(s.books.queued() == s.queued);
}

/// A device with one series and `count` readings whose values count from `from`.
SeriesId fill(QueueRig& rig, const std::string& dvnuuid, int from, int count) {
    const SeriesId series = rig.queue->series(rig.queue->device(dvnuuid), "t", "Cel");
    for (int i = 0; i < count; ++i) {
        rig.clock.advance(1000);
        rig.queue->append(rig.reading(series, from + i));
    }
    return series;
}

std::vector<double> values(const Batch& b) {
    std::vector<double> out;
    for (const Reading& r : b.readings)
        out.push_back(std::get<double>(r.value));
    return out;
}

} // namespace

TEST_CASE("readings come out in order, and are gone once accepted") {
    QueueRig rig;
    rig.open();
    fill(rig, "a", 0, 10);
    const Batch b = rig.take(0, Lane::live, 4);
    CHECK(values(b) == std::vector<double>{0, 1, 2, 3});
    CHECK(rig.queue->waiting(0).live == 6);
    rig.accept(b);
    const Batch c = rig.take(0, Lane::live, 100);
    CHECK(values(c) == std::vector<double>{4, 5, 6, 7, 8, 9});
    rig.keep(c);
    CHECK(values(rig.take(0, Lane::live, 2)) == std::vector<double>{4, 5});
    CHECK(rig.queue->status().books.accepted == 4);
    check_books(*rig.queue);
}

TEST_CASE("a flood of one point with one time stamp holds nothing up, and every stamp is one of its own") {
    QueueRig rig;
    rig.open();
    const SeriesId series = rig.queue->series(rig.queue->device("a"), "t", "Cel");
    const std::int64_t first = rig.clock.wall;
    const auto begin = std::chrono::steady_clock::now();
    for (int burst = 0; burst < 10; ++burst) {
        for (int i = 0; i < 6000; ++i)
            rig.queue->append(rig.reading(series, i));
        rig.clock.advance(500); // far behind the stamps that were given out
    }
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5)); // the loop waits for this
    std::set<std::int64_t> stamps;
    for (const Lane lane : {Lane::live, Lane::backlog})
        for (Batch b = rig.take(0, lane, 10'000); !b.readings.empty(); b = rig.take(0, lane, 10'000)) {
            for (const Reading& reading : b.readings)
                stamps.insert(reading.stamp.ms);
            rig.accept(b);
        }
    CHECK(stamps.size() == 60'000);
    CHECK(*stamps.begin() == first);
    CHECK(*stamps.rbegin() == first + 59'999);
}

TEST_CASE("what was committed survives a power cut, what was accepted does not come back") {
    QueueRig rig;
    rig.open();
    fill(rig, "a", 0, 10);
    rig.accept(rig.take(0, Lane::live, 3));
    REQUIRE(rig.commit());
    fill(rig, "a", 10, 5); // not committed
    rig.power_cut();
    REQUIRE(rig.queue->status().queued == 7);
    CHECK(rig.queue->waiting(0).backlog == 7);
    CHECK(values(rig.take(0, Lane::backlog, 100)) == std::vector<double>{3, 4, 5, 6, 7, 8, 9});
    CHECK(rig.queue->series(SeriesId{0}).name == "t");
    check_books(*rig.queue);
}

TEST_CASE("readings that are accepted within the interval never touch flash") {
    QueueRig rig;
    rig.options.config.commit_interval = seconds(10);
    rig.open();
    const SeriesId series = fill(rig, "a", 0, 3);
    REQUIRE(rig.commit());
    rig.accept(rig.take(0, Lane::live, 3)); // these are there
    Batch under_way;
    for (int second = 0; second < 120; ++second) {
        rig.queue->append(rig.reading(series, second));
        rig.clock.advance(1000);
        rig.queue->tick();
        rig.loop.restart();
        rig.loop.poll();
        if (second % 5 == 0)
            rig.accept(under_way); // it took a second, and another reading came meanwhile
        if (second % 5 == 4)
            under_way = rig.take(0, Lane::live, 100);
    }
    REQUIRE(rig.commit());
    CHECK(rig.queue->status().commits == 3); // those asked for here, and one for the first three
}

TEST_CASE("a power cut repeats what was accepted within the interval and a quarter, not more") {
    QueueRig rig;
    rig.options.config.commit_interval = seconds(10);
    rig.open();
    const SeriesId series = fill(rig, "a", 0, 30);
    REQUIRE(rig.commit());
    const Batch on_flash = rig.take(0, Lane::live, 30);
    rig.queue->settle(on_flash, 0, 10, Fate::accepted, "");
    for (int second = 0; second < 13; ++second) {
        if (second % 3 == 0) { // too young for flash, and never there
            rig.queue->append(rig.reading(series, 100 + second));
            rig.accept(rig.take(0, Lane::live, 1));
        }
        rig.clock.advance(1000);
        rig.queue->tick();
    }
    rig.run_until([&rig] { return rig.queue->status().commits == 2; });
    rig.queue->settle(on_flash, 10, 5, Fate::accepted, ""); // flash is not told of these
    rig.queue->settle(on_flash, 15, 15, Fate::kept, "");
    fill(rig, "a", 200, 2);
    rig.clock.advance(100);
    rig.queue->tick();
    SUBCASE("power cut") {
        rig.power_cut();
        CHECK(rig.queue->status().queued == 20);
        CHECK(values(rig.take(0, Lane::backlog, 2)) == std::vector<double>{10, 11});
    }
    SUBCASE("kill") {
        rig.reopen();
        CHECK(rig.queue->status().queued == 17);
    }
    check_books(*rig.queue);
}

TEST_CASE("that many readings on flash were accepted does not wait for the interval") {
    QueueRig rig;
    rig.options.config.commit_interval = seconds(10);
    rig.open();
    fill(rig, "a", 0, 10'000);
    REQUIRE(rig.commit());
    while (rig.queue->status().queued > 0)
        rig.accept(rig.take(0, rig.queue->waiting(0).backlog > 0 ? Lane::backlog : Lane::live, 500));
    fill(rig, "a", 10'000, 5); // not on flash
    const std::uint64_t commits = rig.queue->status().commits;
    rig.clock.advance(1000);
    rig.queue->tick();
    rig.run_until([&] { return rig.queue->status().commits > commits; });
    SUBCASE("power cut") {
        rig.power_cut();
        CHECK(rig.queue->status().queued == 0);
    }
    SUBCASE("kill") {
        rig.reopen();
        CHECK(rig.queue->status().queued == 5);
        CHECK(values(rig.take(0, Lane::backlog, 1)) == std::vector<double>{10'000});
    }
    check_books(*rig.queue);
}

TEST_CASE("a reading that stays is on flash when it is as old as the interval, not earlier") {
    QueueRig rig;
    rig.options.config.commit_interval = seconds(10);
    rig.open();
    const SeriesId series = fill(rig, "a", 0, 1);
    rig.accept(rig.take(0, Lane::live, 1));
    REQUIRE(rig.commit());
    rig.clock.advance(7'000); // that the last commit is long ago makes nothing due
    rig.queue->append(rig.reading(series, 1));
    const auto grow_older = [&rig](std::int64_t ms) {
        for (; ms > 0; ms -= 50) {
            rig.clock.advance(50);
            rig.queue->tick();
        }
    };
    SUBCASE("not earlier") {
        grow_older(9'900);
        REQUIRE(rig.commit());
        CHECK(rig.queue->status().commits == 2); // those asked for here
    }
    SUBCASE("then") {
        grow_older(10'000);
        rig.run_until([&rig] { return rig.queue->status().commits == 2; });
        rig.power_cut();
        CHECK(rig.queue->status().queued == 1);
    }
}

TEST_CASE("what is in the hot log survives the process, settlements too") {
    QueueRig rig;
    rig.open();
    fill(rig, "a", 0, 10);
    rig.accept(rig.take(0, Lane::live, 3));
    rig.reopen();
    CHECK(values(rig.take(0, Lane::backlog, 100)) == std::vector<double>{3, 4, 5, 6, 7, 8, 9});
    CHECK(rig.queue->status().books.read == 10);
    CHECK(rig.queue->status().books.accepted == 3);
    check_books(*rig.queue);
}

TEST_CASE("a command is kept as soon as the readings it came with are settled") {
    QueueRig rig;
    rig.open();
    fill(rig, "a", 0, 10);
    const Batch batch = rig.take(0, Lane::live, 10);
    Command command;
    command.dvnuuid = "a";
    command.point = "pump";
    command.value = true;
    bool is_stored = false;
    rig.queue->store({command}, [&](std::vector<Command>, bool ok) { is_stored = ok; });
    rig.accept(batch);
    SUBCASE("in the hot log, if the process dies at once") {
        const auto hot = rig.folder.path() / "then";
        std::filesystem::copy(rig.options.config.hot_path, hot);
        rig.close();
        rig.options.config.hot_path = hot;
        rig.options.config.path = rig.folder.path() / "other" / "queue.db"; // nothing came so far
        rig.open();
    }
    SUBCASE("in one transaction, if the power fails right after it") {
        rig.run_until([&] { return is_stored; });
        rig.power_cut();
    }
    CHECK(rig.queue->status().queued == 0);
    REQUIRE(rig.queue->unfinished().size() == 1);
    CHECK(rig.queue->unfinished()[0].point == "pump");
    // What flash knows of it since then is newer.
    Command done = rig.queue->unfinished()[0];
    done.state = CommandState::done;
    is_stored = false;
    rig.queue->update(done, [&](bool ok) { is_stored = ok; });
    rig.run_until([&] { return is_stored; });
    rig.reopen();
    CHECK(rig.queue->unfinished().empty());
}

TEST_CASE("what was accepted does not come back after any number of crashes") {
    QueueRig rig;
    rig.open();
    fill(rig, "a", 0, 10);
    rig.accept(rig.take(0, Lane::live, 3)); // part of a chunk
    for (int crash = 0; crash < 4; ++crash) {
        rig.reopen();
        CHECK(rig.queue->status().queued == 7);
        CHECK(rig.queue->status().books.read == 10);
        CHECK(rig.queue->status().books.accepted == 3);
        check_books(*rig.queue);
    }
    CHECK(values(rig.take(0, Lane::backlog, 100)) == std::vector<double>{3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("a hot log that is written again after a failure brings nothing back") {
    QueueRig rig;
    rig.options.config.commit_interval = std::chrono::hours(1000);
    std::filesystem::create_directories(rig.folder.path());
    std::ofstream(rig.options.config.hot_path).put('x'); // a file stands where the folder should be
    rig.open();
    fill(rig, "a", 0, 10);
    rig.accept(rig.take(0, Lane::live, 3));
    std::filesystem::remove(rig.options.config.hot_path);
    rig.clock.advance(4'000'000'000);
    rig.queue->tick(); // begins a new file with everything that is not on flash
    fill(rig, "a", 10, 2);
    rig.reopen();
    CHECK(rig.queue->status().books.read == 12);
    CHECK(rig.queue->status().books.accepted == 3);
    check_books(*rig.queue);
    CHECK(values(rig.take(0, Lane::backlog, 100)) == std::vector<double>{3, 4, 5, 6, 7, 8, 9, 10, 11});
}

TEST_CASE("an outage longer than memory drains from flash in order") {
    QueueRig rig;
    rig.options.cache_limit = 4096;
    rig.open();
    for (int round = 0; round < 100; ++round) {
        fill(rig, "a", round * 1000, 1000);
        fill(rig, "b", round * 1000, 1000);
        if (round % 2 == 0)
            REQUIRE(rig.commit());
    }
    REQUIRE(rig.commit());
    CHECK(rig.queue->status().memory < 800'000);
    SUBCASE("in the same run") {}
    SUBCASE("after a power cut") {
        rig.power_cut();
    }
    for (DeviceId device = 0; device < 2; ++device) {
        double expected = 0;
        for (const Lane lane : {Lane::backlog, Lane::live})
            for (;;) {
                const Batch b = rig.take(device, lane, 700);
                if (b.readings.empty())
                    break;
                for (const double v : values(b))
                    REQUIRE(v == expected++);
                rig.accept(b);
            }
        CHECK(expected == 100'000);
    }
    CHECK(rig.queue->status().queued == 0);
    REQUIRE(rig.commit());
    check_books(*rig.queue);
    CHECK(rig.queue->status().books.accepted == 200'000);
    CHECK(rig.queue->status().file_used < 40'000);
}

TEST_CASE("readings that were lost on the way to the queue stand in its books, across restarts") {
    QueueRig rig;
    rig.open();
    const SeriesId series = rig.queue->series(rig.queue->device("a"), "v", "");
    rig.queue->append(rig.reading(series, 1));
    rig.queue->count_lost(40);
    rig.queue->count_lost(2);
    REQUIRE(rig.commit());
    rig.power_cut();
    const Books books = rig.queue->status().books;
    CHECK(books.read == 43);
    CHECK(books.dropped[static_cast<std::size_t>(DropReason::flood)] == 42);
    CHECK(books.queued() == 1);
    CHECK(name_of(DropReason::flood) == "flood");
}

TEST_CASE("a flood is an alarm until a minute has passed without one") {
    QueueRig rig;
    rig.open();
    const auto is_told = [&rig] {
        const QueueStatus s = rig.queue->status();
        return std::any_of(s.alarms.begin(), s.alarms.end(),
                           [](const QueueAlarm& a) { return a.code == "flood"; });
    };
    rig.queue->tick();
    CHECK_FALSE(is_told());
    rig.queue->count_lost(1);
    rig.clock.advance(59'000);
    rig.queue->tick();
    CHECK(is_told());
    rig.clock.advance(1000);
    rig.queue->tick();
    CHECK_FALSE(is_told());
}

TEST_CASE("what a commit writes is counted in whole blocks, as the device sees it") {
    QueueRig rig;
    rig.open();
    const SeriesId series = rig.queue->series(rig.queue->device("a"), "v", "");
    std::uint64_t before = rig.queue->status().bytes_written;
    for (int i = 0; i < 5; ++i) {
        rig.queue->append(rig.reading(series, i));
        REQUIRE(rig.commit());
        const std::uint64_t now = rig.queue->status().bytes_written;
        CHECK(now % 4096 == 0);
        CHECK(now - before >= 4096);
        CHECK(now - before < 32 * 1024); // a handful of pages of 1 KiB
        before = now;
    }
}
