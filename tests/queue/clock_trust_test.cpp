// SPDX-License-Identifier: Apache-2.0
#include "queue/clock_trust.hpp"

#include "queue/queue.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace things;

TEST_CASE("stamps count boot time until the clock is synchronised, then follow it") {
    FakeClock clock;
    clock.synchronised = false;
    clock.wall = 0;
    ClockTrust trust(clock, true, 1'000'000);
    CHECK(trust.update() == ClockEvent::none);
    CHECK(trust.now() == Stamp{clock.boot, Stamp::Clock::boot});
    clock.synchronised = true;
    CHECK(trust.update() == ClockEvent::none); // below the floor: wrong, whatever the kernel says
    CHECK_FALSE(trust.is_plausible());
    clock.wall = 2'000'000'000'000;
    CHECK(trust.update() == ClockEvent::trusted);
    CHECK(trust.is_plausible());
    CHECK(trust.now() == Stamp{clock.wall, Stamp::Clock::wall});
}

TEST_CASE("a clock before the day of the build is wrong") {
    constexpr std::int64_t day = 86'400'000;
    const std::int64_t now = SystemClock().wall_ms();
    QueueRig rig;
    rig.options.floor_ms = 0; // as the daemon has it
    rig.open();
    ClockTrust& trust = rig.queue->clock_trust();
    CHECK(trust.floor_ms() % day == 0);
    CHECK(trust.floor_ms() <= now);
    // A build folder may be older than the test run, but this test is no older than this.
    CHECK(trust.floor_ms() > 1'780'000'000'000);
    rig.clock.wall = trust.floor_ms() - 1;
    CHECK_FALSE(trust.is_plausible());
    rig.clock.wall = trust.floor_ms();
    CHECK(trust.is_plausible());
}

TEST_CASE("a clock that loses its synchronisation does not move the stamps") {
    FakeClock clock;
    ClockTrust trust(clock, true, 0);
    REQUIRE(trust.update() == ClockEvent::trusted);
    const std::int64_t before = trust.now().ms;
    clock.synchronised = false;
    clock.wall -= 7'200'000; // somebody set it by hand
    clock.boot += 5000;
    CHECK(trust.update() == ClockEvent::none);
    CHECK(trust.now().ms == before + 5000);
}

TEST_CASE("small corrections are slewed, large ones are steps") {
    FakeClock clock;
    ClockTrust trust(clock, true, 0);
    REQUIRE(trust.update() == ClockEvent::trusted);
    const std::int64_t offset = *trust.anchor();
    clock.advance(4000);
    clock.wall -= 900;
    CHECK(trust.update() == ClockEvent::none);
    CHECK(*trust.anchor() == offset - 4); // 1 ms a second
    clock.advance(100);                   // asked again at once: no faster
    CHECK(trust.update() == ClockEvent::none);
    CHECK(*trust.anchor() == offset - 4);
    clock.wall += 3'600'000;
    CHECK(trust.update() == ClockEvent::stepped);
    CHECK(trust.last_step_ms() == 3'599'104);
    CHECK(trust.now().ms == clock.wall);
}

TEST_CASE("the platform vouches for a clock that nobody synchronises") {
    FakeClock clock;
    clock.synchronised = false;
    ClockTrust trust(clock, true, 1'000'000);
    const auto answer = [&](std::int64_t off_ms, Milliseconds took = Milliseconds(100)) {
        // A Date header has whole seconds, of the middle of the exchange.
        trust.witness((clock.wall - took.count() / 2 + off_ms) / 1000 * 1000, took);
        return trust.update();
    };
    CHECK(trust.update() == ClockEvent::none);
    CHECK(trust.needs_witness());
    CHECK(trust.explain_wait().find("held back: clock") != std::string::npos);
    SUBCASE("three answers over half a minute") {
        CHECK(answer(0) == ClockEvent::none);
        clock.advance(15'000);
        CHECK(answer(4000) == ClockEvent::none);
        clock.advance(15'000);
        CHECK(answer(-4000, seconds(20)) == ClockEvent::trusted);
        CHECK(trust.now() == Stamp{clock.wall, Stamp::Clock::wall});
        CHECK_FALSE(trust.needs_witness());
        CHECK(trust.is_vouched());
        clock.wall += 3000; // still within what the platform says: followed
        CHECK(trust.update() == ClockEvent::stepped);
        clock.wall += 7'200'000; // somebody sets it by hand: not followed once the platform disagrees
        CHECK(answer(-7'200'000) == ClockEvent::none);
        CHECK_FALSE(trust.is_vouched());
        CHECK(trust.now().ms == clock.wall - 7'200'000);
    }
    SUBCASE("not at once, however many there are") {
        for (int i = 0; i < 20; ++i) {
            CHECK(answer(0) == ClockEvent::none);
            clock.advance(1000);
        }
    }
    SUBCASE("not after one that disagrees") {
        CHECK(answer(0) == ClockEvent::none);
        clock.advance(40'000);
        CHECK(answer(3'600'000) == ClockEvent::none);
        CHECK(trust.explain_wait().find("3600 s behind the platform's") != std::string::npos);
        CHECK(answer(0) == ClockEvent::none);
        CHECK(answer(0) == ClockEvent::none);
        clock.advance(30'000);
        CHECK(answer(0) == ClockEvent::trusted);
    }
    SUBCASE("not before the floor") {
        clock.wall = 900'000;
        for (int i = 0; i < 5; ++i) {
            CHECK(answer(0) == ClockEvent::none);
            clock.advance(15'000);
        }
        CHECK(trust.explain_wait().find("clock wrong") != std::string::npos);
    }
    SUBCASE("for an hour after its last answer") {
        for (int i = 0; i < 3; ++i) {
            static_cast<void>(answer(0));
            clock.advance(15'000);
        }
        clock.advance(3'600'000);
        CHECK_FALSE(trust.is_vouched());
        CHECK(trust.now() == Stamp{clock.wall, Stamp::Clock::wall}); // the last good offset goes on
    }
}

TEST_CASE("without require_sync any plausible clock is believed") {
    FakeClock clock;
    clock.synchronised = false;
    ClockTrust trust(clock, false, 0);
    SUBCASE("") {
        CHECK(trust.update() == ClockEvent::trusted);
    }
    SUBCASE("but not one from before the last boot's end") {
        trust.remember(clock.wall + 1);
        CHECK(trust.update() == ClockEvent::none);
        CHECK_FALSE(trust.is_plausible());
    }
}

TEST_CASE("a clock that was years ahead and is put right is followed") {
    FakeClock clock;
    const std::int64_t right = clock.wall;
    constexpr std::int64_t ten_years = std::int64_t{10} * 365 * 86'400'000;
    clock.wall += ten_years;
    ClockTrust trust(clock, true, 1'000'000);
    REQUIRE(trust.update() == ClockEvent::trusted);
    trust.remember(clock.wall);
    clock.wall = right;
    SUBCASE("in the same run") {
        CHECK(trust.update() == ClockEvent::stepped);
        CHECK(trust.now() == Stamp{right + 1, Stamp::Clock::wall}); // may have been given out before
    }
    SUBCASE("after another boot") {
        ClockTrust next(clock, true, 1'000'000);
        next.remember(right + ten_years);
        CHECK(next.update() == ClockEvent::trusted);
        CHECK(next.now() == Stamp{right + 1, Stamp::Clock::wall});
    }
    SUBCASE("but not to before the gateway was built") {
        clock.wall = 0;
        CHECK(trust.update() == ClockEvent::none);
    }
}

namespace {

/// A queue whose machine has just started without a clock, with ten readings a second apart.
struct UnsyncedRig : QueueRig {
    SeriesId series = 0;
    UnsyncedRig() {
        clock.synchronised = false;
        clock.wall = 0;
    }
    void start() {
        open();
        series = queue->series(queue->device("a"), "v", "");
    }
    void fill(int count) {
        for (int i = 0; i < count; ++i) {
            clock.advance(1000);
            queue->append({series, queue->clock_trust().now(), std::int64_t{i}});
        }
    }
    void set_clock(std::int64_t wall) {
        clock.wall = wall;
        clock.synchronised = true;
        queue->tick();
    }
    std::vector<std::int64_t> times() {
        std::vector<std::int64_t> out;
        for (const Lane lane : {Lane::backlog, Lane::live}) {
            const Batch b = take(0, lane, 1000);
            for (const Reading& r : b.readings) {
                CHECK(r.stamp.clock == Stamp::Clock::wall);
                out.push_back(r.stamp.ms);
            }
            keep(b);
        }
        return out;
    }
};

} // namespace

TEST_CASE("readings from before the clock was right get their time when it is") {
    UnsyncedRig rig;
    rig.start();
    const std::int64_t first_boot = rig.clock.boot + 1000;
    rig.fill(10);
    CHECK(rig.queue->waiting(0).live == 0);
    CHECK(rig.take(0, Lane::live, 100).readings.empty());
    SUBCASE("in the same run") {}
    SUBCASE("after a restart of the daemon") {
        rig.reopen();
    }
    SUBCASE("after a commit and a restart of the daemon") {
        REQUIRE(rig.commit());
        rig.reopen();
    }
    SUBCASE("when the readings are folded into blocks meanwhile") {
        rig.options.cache_limit = 0;
        rig.reopen();
        for (int i = 0; i < 60'000; ++i) {
            rig.clock.advance(1);
            rig.queue->append({rig.series, rig.queue->clock_trust().now(), 1.23456789});
        }
        REQUIRE(rig.commit());
    }
    CHECK(rig.queue->status().clock_trusted == false);
    rig.set_clock(1'790'000'000'000);
    const std::int64_t offset = rig.clock.wall - rig.clock.boot;
    CHECK(rig.queue->waiting(0).live + rig.queue->waiting(0).backlog >= 10);
    const std::vector<std::int64_t> times = rig.times();
    REQUIRE(times.size() >= 10);
    for (std::size_t i = 0; i < 10; ++i)
        CHECK(times[i] == offset + first_boot + static_cast<std::int64_t>(i) * 1000);
    // And stays so over another restart and a power cut.
    REQUIRE(rig.commit());
    rig.power_cut();
    CHECK(rig.times()[0] == offset + first_boot);
}

TEST_CASE("a boot that never got a clock is treated as time.unsynced says") {
    UnsyncedRig rig;
    std::size_t left = 0;
    SUBCASE("send_estimate") {
        rig.options.time.unsynced = Unsynced::send_estimate;
        left = 10;
    }
    SUBCASE("drop") {
        rig.options.time.unsynced = Unsynced::drop;
    }
    SUBCASE("hold") {
        rig.options.time.unsynced = Unsynced::hold;
    }
    rig.clock.synchronised = true;
    rig.clock.wall = 1'790'000'000'000;
    rig.start();
    rig.fill(1);
    REQUIRE(rig.commit()); // saves the time
    rig.accept(rig.take(0, Lane::live, 10));
    REQUIRE(rig.commit());
    const std::int64_t saved = rig.clock.wall;
    rig.clock.synchronised = false;
    rig.clock.wall = 0;
    rig.power_cut(); // boots at 1,000 ms of boot time
    rig.fill(10);
    REQUIRE(rig.commit());
    rig.power_cut();
    rig.clock.synchronised = true;
    rig.clock.wall = saved + 3'600'000;
    rig.queue->tick();
    const QueueStatus s = rig.queue->status();
    CHECK(s.books.queued() == s.queued);
    const std::vector<std::int64_t> times = rig.times();
    REQUIRE(times.size() == left);
    if (left > 0) {
        CHECK(times[0] >= saved);
        CHECK(times[0] < saved + 60'000);
        CHECK(s.books.estimated == 10);
    }
    CHECK(s.books.dropped[static_cast<std::size_t>(DropReason::unsynced)] ==
          (rig.options.time.unsynced == Unsynced::drop ? 10 : 0));
    CHECK(s.devices[0].held == (rig.options.time.unsynced == Unsynced::hold ? 10 : 0));
}

TEST_CASE("steps of hours neither lose nor double nor reorder the readings of a point") {
    UnsyncedRig rig;
    rig.clock.synchronised = true;
    rig.clock.wall = 1'790'000'000'000;
    rig.start();
    rig.fill(20);
    SUBCASE("backward") {
        rig.set_clock(rig.clock.wall - 10'000);
    } // onto the very times of before
    SUBCASE("far backward") {
        rig.set_clock(rig.clock.wall - 7'200'000);
    }
    SUBCASE("forward") {
        rig.set_clock(rig.clock.wall + 7'200'000);
    }
    rig.fill(20);
    const Batch b = rig.take(0, Lane::live, 100);
    REQUIRE(b.readings.size() == 40);
    std::vector<std::int64_t> times;
    for (std::size_t i = 0; i < 40; ++i) {
        CHECK(b.readings[i].value == Value(static_cast<std::int64_t>(i % 20)));
        times.push_back(b.readings[i].stamp.ms);
    }
    std::sort(times.begin(), times.end());
    CHECK(std::adjacent_find(times.begin(), times.end()) == times.end());
}

TEST_CASE("a clock that is set back gives out no time twice, wherever the readings of before are") {
    UnsyncedRig rig;
    rig.clock.synchronised = true;
    rig.clock.wall = 1'790'000'000'000;
    rig.start();
    std::set<std::int64_t> times;
    std::size_t taken = 0;
    const auto settle = [&rig, &times, &taken] {
        const Batch b = rig.take(0, Lane::live, 100);
        taken += b.readings.size();
        for (const Reading& reading : b.readings)
            times.insert(reading.stamp.ms);
        rig.queue->settle(b, 0, b.readings.size(), Fate::accepted, "");
    };
    rig.fill(20);
    settle();                               // the queue does not know them any more
    rig.set_clock(rig.clock.wall - 10'000); // onto the very times of before
    rig.fill(5);
    SUBCASE("once") {}
    SUBCASE("and once more, before it was through") {
        settle();
        rig.set_clock(rig.clock.wall - 12'000);
    }
    SUBCASE("and the gateway is started again") {
        settle();
        rig.reopen();
    }
    rig.fill(30);
    settle();
    CHECK(taken == 55);
    CHECK(times.size() == taken);
    CHECK(*times.rbegin() == rig.clock.wall); // on from there it is as ever
}
