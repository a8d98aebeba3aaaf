// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace things;

// Random sequences of everything that can happen to a queue, against a model of a few lines. Every reading
// has a value of its own, so that a lost, doubled, moved or mixed up one is seen. THINGS_MODEL_STEPS sets the
// length (default 100,000), THINGS_MODEL_SEED the seed; THINGS_MODEL_BUG plants what the model does not know
// of: "settles", "loses", "forgets" (a commit).
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

std::string text_of(const Books& b) {
    std::string out = "read " + std::to_string(b.read) + " accepted " + std::to_string(b.accepted) +
                      " dead " + std::to_string(b.dead) + " dropped";
    for (const std::uint64_t n : b.dropped)
        out += " " + std::to_string(n);
    return out;
}

/// One device as the model sees it: readings by order of sending.
struct ModelDevice {
    std::map<std::uint64_t, double> waiting; ///< order, value
    std::map<std::uint64_t, double> flying;
    std::uint64_t next_order = 0;
    bool operator==(const ModelDevice&) const = default;
    [[nodiscard]] std::map<std::uint64_t, double> all() const {
        std::map<std::uint64_t, double> out = waiting;
        out.insert(flying.begin(), flying.end());
        return out;
    }
};

struct Model {
    std::vector<ModelDevice> devices;
    std::map<std::uint64_t, std::pair<std::size_t, double>> dead; ///< letter id, device, value
    Books books;
};

class Walk {
public:
    explicit Walk(std::uint64_t seed) : random_(seed) {
        rig_.options.live_limit = 20;
        rig_.options.cache_limit = 2000;
        rig_.options.dead_limit = 30;
        rig_.options.config.commit_interval = std::chrono::hours(1000); // commits are steps of their own
        rig_.open();
        for (std::size_t d = 0; d < device_count; ++d) {
            now_.devices.emplace_back();
            series_.push_back(rig_.queue->series(rig_.queue->device("device-" + std::to_string(d)), "v", ""));
        }
        REQUIRE(rig_.commit());
        flash_ = now_;
    }

    void step() {
        last_step_ = below(100);
        switch (last_step_) {
        case 0:
            return below(20) == 0 ? outage() : commit();
        case 1:
            return below(10) == 0 ? power_cut() : commit();
        case 2:
            return below(5) == 0 ? kill() : tick();
        case 3:
        case 4:
            return tick();
        case 5:
            return retry_dead();
        default:
            break;
        }
        // A model of a few thousand readings is quick to copy; outages make it larger now and then.
        const bool is_large = now_.books.queued() > 4000;
        if (below(100) < (is_large ? 10 : append_share_))
            append();
        else
            below(2) == 0 && !batches_.empty() ? settle() : take();
        if (below(1000) == 0)
            append_share_ = 15 + below(60);
    }

    /// The planted bugs.
    void misbehave(const std::string& bug) {
        if (bug == "settles")
            rig_.accept(rig_.take(0, Lane::live, 3));
        if (bug == "loses")
            now_.devices[0].waiting.emplace(now_.devices[0].next_order++, -1);
        if (bug == "forgets")
            REQUIRE(rig_.commit());
    }

    void check() {
        const QueueStatus s = rig_.queue->status();
        REQUIRE(s.books.queued() == s.queued);
        CAPTURE(last_step_);
        CAPTURE(text_of(s.books));
        CAPTURE(text_of(now_.books));
        REQUIRE(s.books == now_.books);
        for (std::size_t d = 0; d < device_count; ++d) {
            const Waiting w = rig_.queue->waiting(static_cast<DeviceId>(d));
            REQUIRE(w.live + w.backlog == now_.devices[d].waiting.size());
            REQUIRE(s.devices[d].in_flight == now_.devices[d].flying.size());
        }
    }

    /// Everything that waits, taken out and put back, is what the model has.
    void check_contents() {
        return_batches();
        for (std::size_t d = 0; d < device_count; ++d) {
            std::vector<Batch> taken;
            std::vector<double> values;
            for (const Lane lane : {Lane::backlog, Lane::live})
                for (;;) {
                    Batch b = rig_.take(static_cast<DeviceId>(d), lane, 100);
                    if (b.readings.empty())
                        break;
                    for (const Reading& r : b.readings)
                        values.push_back(std::get<double>(r.value));
                    taken.push_back(std::move(b));
                }
            std::vector<double> expected;
            for (const auto& [order, value] : now_.devices[d].waiting)
                expected.push_back(value);
            REQUIRE(values == expected);
            for (const Batch& b : taken)
                rig_.keep(b);
        }
    }

    std::uint64_t crashes = 0, commits = 0, settlement_commits = 0;

private:
    static constexpr std::size_t device_count = 5;
    struct Taken {
        std::size_t device;
        Batch batch;
        std::vector<std::uint64_t> orders;
    };

    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    std::size_t some_device() { return static_cast<std::size_t>(below(device_count)); }

    void append() {
        const std::size_t d = some_device();
        const std::uint64_t count = 1 + below(30);
        for (std::uint64_t i = 0; i < count; ++i) {
            if (below(3) == 0)
                rig_.clock.advance(static_cast<std::int64_t>(below(3)));
            const double value = next_value_ + (below(2) == 0 ? 0.25 : 0.1);
            next_value_ += 1;
            REQUIRE(rig_.queue->append(rig_.reading(series_[d], value)));
            ModelDevice& m = now_.devices[d];
            m.waiting.emplace(m.next_order++, value);
            ++now_.books.read;
            unflushed_[d].insert(value);
        }
    }

    void take() {
        const std::size_t d = some_device();
        const Lane lane = below(2) == 0 ? Lane::live : Lane::backlog;
        const std::size_t most = static_cast<std::size_t>(1 + below(150));
        ModelDevice& m = now_.devices[d];
        const Waiting w = rig_.queue->waiting(static_cast<DeviceId>(d));
        auto from = m.waiting.begin();
        std::size_t there = w.backlog;
        if (lane == Lane::live) {
            std::advance(from, static_cast<std::ptrdiff_t>(w.backlog));
            there = w.live;
        }
        const Batch b = rig_.take(static_cast<DeviceId>(d), lane, most);
        REQUIRE(b.readings.size() == std::min(there, most));
        REQUIRE(std::is_sorted(b.sequence.begin(), b.sequence.end()));
        Taken taken{d, b, {}};
        for (const Reading& r : b.readings) {
            REQUIRE(std::get<double>(r.value) == from->second);
            REQUIRE(r.series == series_[d]);
            taken.orders.push_back(from->first);
            m.flying.insert(*from);
            from = m.waiting.erase(from);
        }
        if (!b.readings.empty())
            batches_.push_back(std::move(taken));
    }

    void settle() {
        const std::size_t i = static_cast<std::size_t>(below(batches_.size()));
        Taken t = std::move(batches_[i]);
        batches_.erase(batches_.begin() + static_cast<std::ptrdiff_t>(i));
        // In up to three parts, each with a fate of its own.
        std::size_t from = 0;
        while (from < t.orders.size()) {
            const std::size_t count = below(2) == 0
                                          ? t.orders.size() - from
                                          : 1 + static_cast<std::size_t>(below(t.orders.size() - from));
            const std::uint64_t dice = below(20);
            if (dice == 0)
                end(t, from, 1, Fate::dead), from += 1;
            else
                end(t, from, count, dice < 13 ? Fate::accepted : Fate::kept), from += count;
        }
    }

    void end(const Taken& t, std::size_t from, std::size_t count, Fate fate) {
        ModelDevice& m = now_.devices[t.device];
        rig_.queue->settle(t.batch, from, count, fate, "refused");
        for (std::size_t i = from; i < from + count; ++i) {
            const auto node = m.flying.extract(t.orders[i]);
            if (fate == Fate::kept)
                m.waiting.emplace(node.key(), node.mapped());
            if (fate == Fate::accepted)
                ++now_.books.accepted;
            if (fate == Fate::dead) {
                ++now_.books.dead;
                now_.dead.emplace(rig_.queue->dead_letters().back().id, std::pair(t.device, node.mapped()));
                if (now_.dead.size() > rig_.options.dead_limit) {
                    now_.dead.erase(now_.dead.begin());
                    --now_.books.dead;
                    now_.books.drop(DropReason::dead_full, 1);
                }
            }
        }
        if (fate != Fate::kept)
            unflushed_[t.device].clear(); // written before the settlement
    }

    void return_batches() {
        for (const Taken& t : std::exchange(batches_, {}))
            end(t, 0, t.orders.size(), Fate::kept);
    }

    void retry_dead() {
        if (now_.dead.empty())
            return;
        auto at = now_.dead.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(below(now_.dead.size())));
        const auto [id, what] = *at;
        if (below(2) == 0) {
            REQUIRE(rig_.queue->drop_dead({id, 999'999}) == 1);
            now_.books.drop(DropReason::removed, 1);
        } else {
            REQUIRE(rig_.queue->retry_dead({id, id}) == 1);
            ModelDevice& m = now_.devices[what.first];
            m.waiting.emplace(m.next_order++, what.second);
            for (auto& values : unflushed_)
                values.clear();
        }
        --now_.books.dead;
        now_.dead.erase(at);
    }

    void tick() {
        rig_.clock.advance(static_cast<std::int64_t>(below(2) == 0 ? 150 : 20));
        tick_queue();
        if (flushed_at_ + 100 < rig_.clock.boot) {
            // Not exact: only claims what must have been written.
            rig_.clock.advance(101);
            tick_queue();
            for (auto& values : unflushed_)
                values.clear();
            flushed_at_ = rig_.clock.boot;
        }
    }

    void commit() {
        REQUIRE(rig_.commit());
        for (auto& values : unflushed_)
            values.clear();
        flash_ = now_;
        ++commits;
    }

    /// Readings that flash still counts though they were settled.
    [[nodiscard]] std::uint64_t settled_on_flash() const {
        std::uint64_t count = 0;
        for (std::size_t d = 0; d < device_count; ++d)
            for (const auto& [order, value] : flash_.devices[d].all())
                count +=
                    now_.devices[d].waiting.count(order) + now_.devices[d].flying.count(order) == 0 ? 1 : 0;
        return count;
    }

    /// Many settlements are committed alone: flash forgets those readings and learns of no new ones.
    void tick_queue() {
        const std::uint64_t before = rig_.queue->status().commits;
        rig_.queue->tick();
        if (settled_on_flash() < 5000)
            return;
        rig_.clock.advance(1000);
        rig_.queue->tick();
        rig_.run_until([&] { return rig_.queue->status().commits > before; });
        Model stored = now_;
        for (std::size_t d = 0; d < device_count; ++d) {
            const auto known = flash_.devices[d].all();
            for (auto* readings : {&stored.devices[d].waiting, &stored.devices[d].flying})
                stored.books.read -= std::erase_if(
                    *readings, [&known](const auto& reading) { return known.count(reading.first) == 0; });
        }
        flash_ = stored;
        ++settlement_commits;
    }

    void drain() {
        for (std::size_t d = 0; d < device_count; ++d)
            for (const Lane lane : {Lane::backlog, Lane::live})
                for (;;) {
                    const Batch b = rig_.take(static_cast<DeviceId>(d), lane, 1000);
                    if (b.readings.empty())
                        break;
                    rig_.accept(b);
                    now_.books.accepted += b.readings.size();
                    for (const Reading& r : b.readings)
                        std::erase_if(now_.devices[d].waiting,
                                      [&r](const auto& w) { return w.second == std::get<double>(r.value); });
                    unflushed_[d].clear();
                }
        append();
        tick_queue();
    }

    void outage() {
        for (int i = 0; i < 20; ++i) {
            for (int k = 0; k < 40; ++k)
                append();
            if (i % 4 == 0)
                commit();
        }
        if (below(2) == 0)
            drain();
    }

    void kill() {
        // What a kill leaves behind is what is in the files now, not what an orderly end would add.
        const auto copy = rig_.folder.path() / "copy";
        std::filesystem::remove_all(copy);
        std::filesystem::copy(rig_.options.config.hot_path, copy, std::filesystem::copy_options::recursive);
        batches_.clear();
        rig_.close();
        std::filesystem::remove_all(rig_.options.config.hot_path);
        std::filesystem::rename(copy, rig_.options.config.hot_path);
        rig_.open();
        ++crashes;
        for (ModelDevice& m : now_.devices) {
            m.waiting.merge(m.flying);
            m.flying.clear();
        }
        // Readings that were not written to the hot log may be missing, from the end of each device.
        for (std::size_t d = 0; d < device_count; ++d) {
            ModelDevice& m = now_.devices[d];
            const Waiting w = rig_.queue->waiting(static_cast<DeviceId>(d));
            while (m.waiting.size() > w.live + w.backlog) {
                const auto last = std::prev(m.waiting.end());
                REQUIRE(unflushed_[d].count(last->second) == 1);
                m.waiting.erase(last);
                --now_.books.read;
            }
        }
        for (auto& values : unflushed_)
            values.clear();
        after_crash();
    }

    void power_cut() {
        batches_.clear();
        rig_.power_cut();
        ++crashes;
        now_ = flash_;
        for (ModelDevice& m : now_.devices) {
            m.waiting.merge(m.flying);
            m.flying.clear();
        }
        for (auto& values : unflushed_)
            values.clear();
        after_crash();
    }

    void after_crash() {
        check();
        check_contents();
        std::map<std::uint64_t, double> letters, expected;
        for (const DeadLetter& l : rig_.queue->dead_letters())
            letters.emplace(l.id, std::get<double>(l.reading.value));
        for (const auto& [id, what] : now_.dead)
            expected.emplace(id, what.second);
        REQUIRE(letters == expected);
        commit(); // what a power cut finds from now on
    }

    QueueRig rig_;
    std::mt19937_64 random_;
    std::vector<SeriesId> series_;
    Model now_, flash_;
    std::set<double> unflushed_[device_count]; ///< values that a kill may take
    std::vector<Taken> batches_;
    std::uint64_t last_step_ = 0;
    std::uint64_t append_share_ = 50;
    double next_value_ = 0;
    std::int64_t flushed_at_ = 0;
};

} // namespace

TEST_CASE("a random walk of appends, takes, settlements, commits and crashes agrees with the model") {
    const std::uint64_t steps = number_of("THINGS_MODEL_STEPS", 100'000);
    const std::uint64_t seed = number_of("THINGS_MODEL_SEED", 1);
    INFO("seed " << seed);
    log::set_level(log::Level::error);
    const char* bug = std::getenv("THINGS_MODEL_BUG");
    Walk walk(seed);
    for (std::uint64_t i = 0; i < steps; ++i) {
        walk.step();
        if (bug != nullptr && i % 100 == 99)
            walk.misbehave(bug);
        if (i % 16 == 0)
            walk.check();
        if (i % 5000 == 0)
            walk.check_contents();
    }
    walk.check();
    walk.check_contents();
    log::set_level(log::Level::info);
    MESSAGE(steps << " steps, " << walk.crashes << " crashes, " << walk.commits << " commits, "
                  << walk.settlement_commits << " of settlements alone");
}
