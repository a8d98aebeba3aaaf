// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "queue/clock_trust.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace things;

// Random walks through a queue that overflows, on a machine that often boots without a clock. What is dropped
// is the queue's choice, but every reading must be accepted, waiting, held or counted as dropped, each with
// the value and the time at which it was taken, in order; and a crash changes nothing of what a commit (a
// power cut) or the hot log (a kill) holds. A twentieth of THINGS_MODEL_STEPS (default 100,000) is the
// length, over three policies, THINGS_MODEL_SEED the seed; THINGS_MODEL_BUG ("settles", "loses", "forgets")
// plants one.
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

/// What the model knows of a reading; its value is its place among those of its device.
struct Known {
    std::int64_t boot_ms = 0;
    std::int64_t wall_ms = 0; ///< 0: nobody can know, its boot never got a clock
    bool is_accepted = false;
};

using Values = std::vector<std::set<std::uint64_t>>; ///< by device

class OverflowWalk {
public:
    OverflowWalk(std::uint64_t seed, WhenFull when_full, Unsynced unsynced) : random_(seed) {
        const char* bug = std::getenv("THINGS_MODEL_BUG");
        bug_ = bug == nullptr ? "" : bug;
        rig_.options.config.max_size = 1024 * 1024;
        rig_.options.config.when_full = when_full;
        rig_.options.config.commit_interval = std::chrono::hours(1000); // commits are steps of their own
        rig_.options.time.unsynced = unsynced;
        rig_.options.cache_limit = 0;
        rig_.options.live_limit = 50;
        true_offset_ = 1'790'000'000'000;
        set_clock(true);
        rig_.open();
        known_.resize(device_count);
        for (std::size_t d = 0; d < device_count; ++d)
            series_.push_back(rig_.queue->series(rig_.queue->device("device-" + std::to_string(d)), "v", ""));
        REQUIRE(rig_.commit());
    }

    void step() {
        const std::uint64_t dice = below(100);
        if (dice < 45)
            append(below(800));
        else if (dice < 75)
            take_and_settle();
        else if (dice < 85)
            REQUIRE(rig_.commit());
        else if (dice < 90)
            tick(below(3000));
        else if (dice < 93)
            get_clock();
        else if (dice < 95)
            take_again();
        else if (dice < 97)
            kill();
        else
            power_cut();
        check_books();
        if (!bug_.empty() && below(50) == 0)
            misbehave();
    }

    /// Everything that waits, taken out and put back, is known, in order and with its time.
    Values contents() {
        Values all;
        std::vector<Batch> taken;
        for (DeviceId d = 0; d < device_count; ++d) {
            std::set<std::uint64_t>& values = all.emplace_back();
            for (const Lane lane : {Lane::backlog, Lane::live})
                for (;;) {
                    taken.push_back(rig_.take(d, lane, 5000));
                    if (taken.back().readings.empty())
                        break;
                    for (const Reading& r : taken.back().readings) {
                        const std::uint64_t n = number_in(d, r);
                        REQUIRE((values.empty() || *values.rbegin() < n));
                        values.insert(values.end(), n);
                    }
                }
        }
        for (const Batch& b : taken)
            rig_.keep(b);
        return all;
    }

    std::uint64_t crashes = 0, dropped = 0;

private:
    static constexpr std::size_t device_count = 2;

    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    void set_clock(bool synchronised) {
        rig_.clock.synchronised = synchronised;
        rig_.clock.wall = rig_.clock.boot + (synchronised ? true_offset_ : 0);
    }

    /// Which of the device's readings this is.
    std::uint64_t number_in(DeviceId d, const Reading& r) {
        const double value = std::get<double>(r.value);
        REQUIRE(r.series == series_[d]);
        const auto n = static_cast<std::uint64_t>(value);
        REQUIRE(value == static_cast<double>(n) + 0.321);
        REQUIRE(n < known_[d].size());
        const Known& k = known_[d][n];
        REQUIRE(!k.is_accepted);
        REQUIRE((k.wall_ms == 0 || r.stamp == Stamp{k.wall_ms, Stamp::Clock::wall}));
        return n;
    }

    void append(std::uint64_t count) {
        const std::size_t d = below(device_count);
        for (std::uint64_t i = 0; i < count; ++i) {
            rig_.clock.advance(4 * (1 + static_cast<std::int64_t>(below(5)))); // stamps are multiples of 4 ms
            const Stamp now = rig_.queue->clock_trust().now();
            REQUIRE(rig_.queue->append({series_[d], now, static_cast<double>(known_[d].size()) + 0.321}));
            known_[d].push_back({rig_.clock.boot, now.clock == Stamp::Clock::wall ? now.ms : 0, false});
        }
    }

    void take_and_settle() {
        const auto d = static_cast<DeviceId>(below(device_count));
        const Batch b = rig_.take(d, below(3) == 0 ? Lane::live : Lane::backlog, 1 + below(4000));
        std::vector<std::uint64_t> numbers;
        for (const Reading& r : b.readings)
            numbers.push_back(number_in(d, r));
        const std::size_t count = below(numbers.size() + 1);
        rig_.queue->settle(b, 0, count, Fate::accepted, "");
        rig_.queue->settle(b, count, numbers.size() - count, Fate::kept, "");
        for (std::size_t i = 0; i < count; ++i)
            known_[d][numbers[i]].is_accepted = true;
    }

    /// A retry: by numbers it gets the readings that it had, or none.
    void take_again() {
        const Batch first = rig_.take(0, Lane::backlog, 1 + below(500));
        rig_.keep(first);
        if (first.readings.empty())
            return;
        append(below(1500));
        REQUIRE(rig_.commit());
        Batch again;
        bool done = false;
        rig_.queue->take(0, {{first.sequence.front(), first.sequence.back() + 1}}, [&](Batch b) {
            again = std::move(b);
            done = true;
        });
        rig_.run_until([&done] { return done; });
        for (std::size_t i = 0; i < again.sequence.size(); ++i) {
            const auto at = std::find(first.sequence.begin(), first.sequence.end(), again.sequence[i]);
            REQUIRE(at != first.sequence.end());
            REQUIRE(again.readings[i].value ==
                    first.readings[static_cast<std::size_t>(at - first.sequence.begin())].value);
        }
        rig_.keep(again);
    }

    void tick(std::uint64_t ms) {
        rig_.clock.advance(static_cast<std::int64_t>(ms - ms % 4));
        rig_.queue->tick();
    }

    /// A boot without a clock gets one.
    void get_clock() {
        if (rig_.clock.synchronised)
            return;
        set_clock(true);
        rig_.queue->tick();
        for (std::vector<Known>& readings : known_)
            for (std::size_t n = this_boot_[&readings - known_.data()]; n < readings.size(); ++n)
                readings[n].wall_ms = readings[n].boot_ms + true_offset_;
    }

    void kill() {
        tick(101); // what is older than 100 ms must be in the hot log
        const Values before = contents();
        const Books books = rig_.queue->status().books;
        const auto copy = rig_.folder.path() / "copy";
        std::filesystem::remove_all(copy);
        std::filesystem::copy(rig_.options.config.hot_path, copy, std::filesystem::copy_options::recursive);
        rig_.close();
        std::filesystem::remove_all(rig_.options.config.hot_path);
        std::filesystem::rename(copy, rig_.options.config.hot_path);
        rig_.open();
        ++crashes;
        REQUIRE(rig_.queue->status().books == books);
        REQUIRE(contents() == before);
    }

    void power_cut() {
        REQUIRE(rig_.commit());
        const Values before = contents();
        const std::vector<std::vector<Known>> flash = known_;
        const QueueStatus status = rig_.queue->status();
        append(below(50));
        take_and_settle();
        true_offset_ += rig_.clock.boot - 1000 + 3'600'000;
        true_offset_ -= true_offset_ % 4;
        rig_.close();
        set_clock(below(2) == 0);
        rig_.clock.boot = 1000; // as power_cut() does, but before the clock is looked at
        set_clock(rig_.clock.synchronised);
        rig_.power_cut();
        ++crashes;
        if (bug_ != "forgets")
            known_ = flash;
        for (std::size_t d = 0; d < device_count; ++d)
            this_boot_[d] = known_[d].size();
        REQUIRE(rig_.queue->status().books.read == status.books.read);
        REQUIRE(rig_.queue->status().books.accepted == status.books.accepted);
        const Values after = contents();
        for (std::size_t d = 0; d < device_count; ++d) {
            REQUIRE(std::includes(after[d].begin(), after[d].end(), before[d].begin(), before[d].end()));
            REQUIRE(after[d].size() - before[d].size() <= status.devices[d].held);
        }
    }

    void check_books() {
        const QueueStatus s = rig_.queue->status();
        std::uint64_t read = 0, accepted = 0;
        for (const std::vector<Known>& readings : known_) {
            read += readings.size();
            accepted += static_cast<std::uint64_t>(std::count_if(
                readings.begin(), readings.end(), [](const Known& k) { return k.is_accepted; }));
        }
        REQUIRE(s.books.read == read);
        REQUIRE(s.books.accepted == accepted);
        REQUIRE(s.books.queued() == s.queued);
        REQUIRE(s.file_size < rig_.options.config.max_size + 70'000);
        dropped = s.books.dropped_total();
    }

    /// The planted bugs: what the model does not know of.
    void misbehave() {
        if (bug_ == "settles")
            rig_.accept(rig_.take(0, Lane::live, 10));
        if (bug_ == "loses")
            known_[0].push_back({rig_.clock.boot, 1, false});
    }

    QueueRig rig_;
    std::mt19937_64 random_;
    std::string bug_;
    std::vector<SeriesId> series_;
    std::vector<std::vector<Known>> known_;    ///< by device
    std::size_t this_boot_[device_count] = {}; ///< first reading of this boot
    std::int64_t true_offset_ = 0;             ///< what the wall clock is ahead of this boot's
};

} // namespace

TEST_CASE("a random walk through overflow, crashes and boots without a clock loses nothing uncounted") {
    const std::uint64_t steps = number_of("THINGS_MODEL_STEPS", 100'000) / 20;
    const std::uint64_t seed = number_of("THINGS_MODEL_SEED", 1);
    INFO("seed " << seed);
    log::set_level(log::Level::error);
    std::uint64_t crashes = 0, dropped = 0;
    const std::pair<WhenFull, Unsynced> policies[] = {{WhenFull::drop_oldest, Unsynced::send_estimate},
                                                      {WhenFull::drop_newest, Unsynced::drop},
                                                      {WhenFull::drop_oldest, Unsynced::hold}};
    for (const auto& [when_full, unsynced] : policies) {
        OverflowWalk walk(seed, when_full, unsynced);
        for (std::uint64_t i = 0; i < steps / 3; ++i)
            walk.step();
        (void)walk.contents();
        crashes += walk.crashes;
        dropped += walk.dropped;
    }
    log::set_level(log::Level::info);
    if (steps >= 3000)
        CHECK(dropped > 0);
    MESSAGE((steps - steps % 3) << " steps through overflow, " << crashes << " crashes, " << dropped
                                << " readings dropped");
}
