// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/memory_vfs.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace things;

// Flash that fails: the queue goes on from memory and mends itself.
namespace {

struct FaultRig : QueueRig {
    MemoryVfs disk{"faulty"};
    SeriesId series = 0;
    double next = 0;
    FaultRig() {
        log::set_level(log::Level::error);
        options.vfs = disk.name();
        options.checkpoint_pages = 20;
        options.config.commit_interval = std::chrono::hours(1000);
        open();
        series = queue->series(queue->device("a"), "v", "");
        fill(100);
        REQUIRE(commit());
    }
    ~FaultRig() {
        close();
        log::set_level(log::Level::info);
    }
    void fill(int count) {
        for (int i = 0; i < count; ++i) {
            clock.advance(10);
            queue->append(reading(series, next++));
        }
    }
    /// Accepts the first `count` readings of the backlog and live lanes.
    void send(std::size_t count) {
        for (const Lane lane : {Lane::backlog, Lane::live}) {
            const Batch b = take(0, lane, count);
            count -= b.readings.size();
            accept(b);
        }
    }
    /// All there is, by value; put back.
    std::vector<double> contents() {
        std::vector<double> values;
        std::vector<Batch> taken;
        for (const Lane lane : {Lane::backlog, Lane::live})
            for (;;) {
                taken.push_back(take(0, lane, 10'000));
                if (taken.back().readings.empty())
                    break;
                for (const Reading& r : taken.back().readings)
                    values.push_back(std::get<double>(r.value));
            }
        for (const Batch& b : taken)
            keep(b);
        return values;
    }
    /// The machine loses power and what was not synced.
    void cut_power() {
        close();
        std::mt19937_64 random(1);
        disk.load(disk.image(random, Survival::none));
        std::filesystem::remove_all(options.config.hot_path);
        clock.id += "+";
        open();
    }
    [[nodiscard]] bool has_alarm(const std::string& code) const {
        const QueueStatus s = queue->status();
        return std::any_of(s.alarms.begin(), s.alarms.end(),
                           [&](const QueueAlarm& a) { return a.code == code; });
    }
};

} // namespace

TEST_CASE("whichever call to flash fails once, nothing is lost and the next commits get through") {
    // Enough of them to meet writes, syncs, checkpoints and the reopening itself.
    std::uint64_t failed = 0;
    for (std::uint64_t k = 1; k < 160; ++k) {
        FaultRig rig;
        rig.disk.fail_at(k, MemoryVfs::Fault::io, false);
        for (int round = 0; round < 4; ++round) {
            rig.fill(300);
            failed += rig.commit() ? 0 : 1;
            rig.send(100);
        }
        rig.disk.fail_at(0, MemoryVfs::Fault::io, false);
        REQUIRE(rig.commit());
        CHECK_FALSE(rig.has_alarm("flash"));
        const std::vector<double> before = rig.contents();
        REQUIRE(before.size() == 900);
        rig.cut_power();
        CAPTURE(k);
        REQUIRE(rig.contents() == before);
        const QueueStatus s = rig.queue->status();
        CHECK(s.books.queued() == s.queued);
        CHECK(s.books.dropped_total() == 0);
    }
    CHECK(failed > 20);
}

TEST_CASE("while every write fails the queue works from memory, says so, and recovers") {
    FaultRig rig;
    SUBCASE("I/O error") {
        rig.disk.fail_at(1, MemoryVfs::Fault::io, true);
    }
    SUBCASE("read-only file system") {
        rig.disk.fail_at(1, MemoryVfs::Fault::readonly, true);
    }
    SUBCASE("full disk") {
        rig.disk.fail_at(1, MemoryVfs::Fault::full, true);
    }
    rig.fill(1000);
    CHECK_FALSE(rig.commit());
    CHECK(rig.has_alarm("flash"));
    rig.send(500);
    CHECK_FALSE(rig.commit());
    CHECK(rig.queue->status().queued == 600);
    rig.disk.fail_at(0, MemoryVfs::Fault::io, false);
    CHECK(rig.commit());
    CHECK_FALSE(rig.has_alarm("flash"));
    const std::vector<double> before = rig.contents();
    rig.cut_power();
    CHECK(rig.contents() == before);
}

TEST_CASE("a write that hangs is noticed by who watches, and so is its end") {
    FaultRig rig;
    rig.disk.hold(true);
    rig.fill(10);
    bool stored = false;
    rig.queue->commit([&stored](bool ok) { stored = ok; });
    rig.run_until([&rig] { return rig.disk.is_holding(); });
    CHECK(rig.queue->silence(1'000) == std::chrono::seconds(0)); // asked just now
    CHECK(rig.queue->silence(61'000) == std::chrono::seconds(60));
    rig.disk.hold(false);
    rig.run_until([&] { return rig.queue->silence(62'000) == std::chrono::seconds(0); });
    rig.run_until([&stored] { return stored; });
}

TEST_CASE("a start without flash works from memory and joins it later") {
    FaultRig rig;
    rig.send(40);
    rig.fill(5);
    SUBCASE("with the hot log of before: in the same run") {
        rig.close();
        rig.disk.fail_at(1, MemoryVfs::Fault::io, true);
        rig.open();
        CHECK(rig.has_alarm("flash"));
        rig.fill(10);
        CHECK_FALSE(rig.commit());
        rig.disk.fail_at(0, MemoryVfs::Fault::io, false);
        CHECK(rig.commit());
        CHECK(rig.contents().size() == 75);
        CHECK(rig.queue->status().books.read == 115);
    }
    SUBCASE("without it: at the next start") {
        REQUIRE(rig.commit());
        rig.close();
        std::filesystem::remove_all(rig.options.config.hot_path);
        rig.disk.fail_at(1, MemoryVfs::Fault::io, true);
        rig.clock.id += "+";
        rig.open();
        rig.series = rig.queue->series(rig.queue->device("b"), "w", "");
        rig.fill(10);
        rig.send(2);
        rig.disk.fail_at(0, MemoryVfs::Fault::io, false);
        CHECK_FALSE(rig.commit());
        CHECK(rig.has_alarm("restart"));
        rig.reopen();
        CHECK(rig.queue->waiting(0).backlog == 65);
        CHECK(rig.queue->waiting(rig.queue->device("b")).live == 8);
    }
    REQUIRE(rig.commit());
    const std::uint64_t queued = rig.queue->status().queued;
    rig.cut_power();
    const QueueStatus s = rig.queue->status();
    CHECK(s.queued == queued);
    CHECK(s.books.queued() == queued);
    CHECK(s.books.dropped_total() == 0);
}

TEST_CASE("memory is bounded while flash refuses, and what goes is counted") {
    FaultRig rig;
    rig.options.memory_limit = 200'000;
    SUBCASE("drop_oldest") {
        rig.options.config.when_full = WhenFull::drop_oldest;
    }
    SUBCASE("drop_newest") {
        rig.options.config.when_full = WhenFull::drop_newest;
    }
    rig.reopen();
    rig.disk.fail_at(1, MemoryVfs::Fault::io, true);
    rig.fill(200'000);
    const QueueStatus s = rig.queue->status();
    CHECK(s.memory < 210'000);
    CHECK(s.books.queued() == s.queued);
    CHECK(s.books.dropped[static_cast<std::size_t>(DropReason::memory)] > 100'000);
    CHECK(rig.has_alarm("memory"));
    const std::vector<double> left = rig.contents();
    CHECK(left.front() ==
          (rig.options.config.when_full == WhenFull::drop_oldest ? 200'100 - double(left.size()) : 0));
    rig.disk.fail_at(0, MemoryVfs::Fault::io, false);
    REQUIRE(rig.commit());
    REQUIRE(rig.commit());
    CHECK_FALSE(rig.has_alarm("memory"));
}

TEST_CASE("commands are stored durably, or kept with a word about it") {
    FaultRig rig;
    Command c;
    c.dvnuuid = "a";
    c.device = "boiler";
    c.point = "setpoint";
    c.origin = "platform";
    c.value = 21.5;
    std::vector<Command> stored;
    int ok = -1;
    const auto keep = [&](std::vector<Command> commands, bool good) {
        stored = std::move(commands);
        ok = good ? 1 : 0;
    };
    rig.queue->store({c, c}, keep);
    rig.run_until([&] { return ok >= 0; });
    CHECK(ok == 1);
    REQUIRE(stored.size() == 2);
    CHECK(stored[0].id < stored[1].id);
    stored[0].state = CommandState::done;
    stored[0].after = Value(21.5);
    stored[0].ended_wall_ms = rig.clock.wall;
    const Command ended = stored[0];
    ok = -1;
    rig.queue->update(ended, [&](bool good) { ok = good ? 1 : 0; });
    rig.run_until([&] { return ok >= 0; });
    rig.cut_power();
    REQUIRE(rig.queue->unfinished().size() == 1);
    CHECK(rig.queue->unfinished()[0].id == stored[1].id);
    REQUIRE(rig.queue->recent("a", 10).size() == 1);
    CHECK(rig.queue->recent("a", 10)[0].after == Value(21.5));
    CHECK(rig.queue->audit("boiler", 10).size() == 2);
    CHECK(rig.queue->audit("", 1)[0].id == stored[1].id);

    rig.disk.fail_at(1, MemoryVfs::Fault::io, true);
    ok = -1;
    rig.queue->store({c}, keep);
    rig.run_until([&] { return ok >= 0; });
    CHECK(ok == 0);
    CHECK(rig.queue->unfinished().size() == 2);
}
