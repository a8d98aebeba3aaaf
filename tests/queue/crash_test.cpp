// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/memory_vfs.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace things;

// Power cuts at every kind of moment: the queue works on a disk in memory that knows what was synced; a cut
// is taken at a random write, truncation or sync, and images of what could be left of it are opened again.
// THINGS_CRASH_IMAGES sets their number (default 800), THINGS_CRASH_SEED the seed, THINGS_CRASH_BUG what is
// planted: "swallowed" syncs, or those of the log too late ("normal").
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

/// What a queue holds, and its accounts.
struct Contents {
    std::vector<std::vector<double>> devices;
    Books books;
    std::size_t dead = 0;
    bool operator==(const Contents&) const = default;
};

/// A queue on the disk in memory, together with what should be in it.
struct CrashRig : QueueRig {
    MemoryVfs disk; ///< outlives the queue: see the destructor
    std::mt19937_64 random;
    Contents now, flash;
    std::vector<SeriesId> series;
    double next_value = 0;
    std::uint64_t commits = 0;

    CrashRig(const std::string& name, std::uint64_t seed) : disk(name), random(seed) {
        options.vfs = name;
        options.checkpoint_pages = 30;
        options.live_limit = 10;
        options.cache_limit = 1000;
        options.config.max_size = 1024 * 1024; // folds come early then, but no commit that is not asked for
        options.config.commit_interval = std::chrono::hours(1000);
        open();
        for (int d = 0; d < 3; ++d) {
            series.push_back(queue->series(queue->device("device-" + std::to_string(d)), "v", ""));
            now.devices.emplace_back();
        }
        full_commit();
    }

    ~CrashRig() { close(); }

    std::uint64_t below(std::uint64_t n) { return random() % n; }

    void work() {
        for (std::uint64_t n = below(4); n > 0; --n)
            change();
        if (below(100) == 0 && now.books.queued() < 10'000) // enough to be folded into blocks
            for (int i = 0; i < 6000; ++i)
                append(static_cast<std::size_t>(below(3)));
    }

    void append(std::size_t d) {
        clock.advance(10);
        queue->append(reading(series[d], next_value += 1.5));
        now.devices[d].push_back(next_value);
        ++now.books.read;
    }

    void change() {
        const auto d = static_cast<std::size_t>(below(3));
        if (below(2) == 0) {
            for (std::uint64_t n = below(60); n > 0; --n)
                append(d);
            return;
        }
        const Lane lane = below(2) == 0 ? Lane::live : Lane::backlog;
        const Batch b = take(static_cast<DeviceId>(d), lane,
                             1 + static_cast<std::size_t>(below(now.devices[d].size() > 2000 ? 5000 : 80)));
        if (b.readings.empty())
            return;
        const bool is_dead = below(10) == 0;
        const std::size_t count = is_dead ? 1 : b.readings.size();
        queue->settle(b, 0, count, is_dead ? Fate::dead : Fate::accepted, "refused");
        queue->settle(b, count, b.readings.size() - count, Fate::kept, "");
        (is_dead ? now.books.dead : now.books.accepted) += count;
        now.dead += is_dead ? 1 : 0;
        std::map<double, int> gone;
        for (std::size_t i = 0; i < count; ++i)
            gone[std::get<double>(b.readings[i].value)] = 1;
        std::erase_if(now.devices[d], [&gone](double v) { return gone.count(v) > 0; });
        if (now.dead == 100)
            drop_dead();
    }

    /// Before the list is full and the queue does it.
    void drop_dead() {
        std::vector<std::uint64_t> ids;
        for (const DeadLetter& letter : queue->dead_letters())
            ids.push_back(letter.id);
        const std::size_t count = queue->drop_dead(ids);
        now.dead -= count;
        now.books.dead -= count;
        now.books.drop(DropReason::removed, count);
    }

    void commit_all() {
        REQUIRE(commit());
        REQUIRE(queue->status().commits ==
                ++commits);                          // else there is a state on flash that is not known here
        REQUIRE(queue->status().books == now.books); // else the queue did what is not known here
    }

    void full_commit() {
        commit_all();
        flash = now;
    }
};

/// What an opened queue holds. Takes everything out.
Contents contents_of(QueueRig& rig) {
    Contents out;
    const std::size_t devices = rig.queue->status().devices.size();
    for (DeviceId d = 0; d < devices; ++d) {
        std::vector<double>& values = out.devices.emplace_back();
        for (const Lane lane : {Lane::backlog, Lane::live})
            for (;;) {
                const Batch b = rig.take(d, lane, 100'000);
                if (b.readings.empty())
                    break;
                for (const Reading& r : b.readings)
                    values.push_back(std::get<double>(r.value));
            }
    }
    const QueueStatus s = rig.queue->status();
    CHECK(s.books.queued() == s.queued);
    out.books = s.books;
    out.dead = rig.queue->dead_letters().size();
    return out;
}

/// The machine after the cut: opens images and says what is in them.
struct After : QueueRig {
    MemoryVfs disk{"image"};
    After() {
        options.vfs = disk.name();
        clock.id = "after the cut";
    }

    /// Nothing if it does not open.
    std::optional<Contents> open_image(const std::string& old_path, const MemoryVfs::Image& image) {
        MemoryVfs::Image moved;
        for (const auto& [path, bytes] : image)
            moved[options.config.path.string() + path.substr(old_path.size())] = bytes;
        disk.load(moved);
        std::filesystem::remove_all(options.config.hot_path);
        try {
            open();
        } catch (const QueueError&) {
            return std::nullopt;
        }
        Contents out = contents_of(*this);
        close();
        return out;
    }
};

struct Findings {
    std::uint64_t cuts = 0, images = 0, wrong = 0, unopened = 0;
};

/// Cuts the power again and again and opens four images of what each cut leaves.
Findings cut_power(CrashRig& rig, std::uint64_t images) {
    Findings found;
    After after;
    while (found.images < images) {
        for (std::uint64_t n = rig.below(4); n > 0; --n) {
            rig.work();
            rig.full_commit();
        }
        rig.work();
        rig.disk.cut_at(1 + rig.below(rig.below(4) == 0 ? 120 : 12));
        rig.commit_all();
        const bool is_after = !rig.disk.was_cut(); // the commit was over first
        for (const Survival survival :
             {Survival::none, Survival::all, Survival::some_writes, Survival::some_sectors}) {
            const std::optional<Contents> left =
                after.open_image(rig.options.config.path.string(), rig.disk.image(rig.random, survival));
            ++found.images;
            found.unopened += left ? 0 : 1;
            found.wrong += left && *left != rig.now && (is_after || *left != rig.flash) ? 1 : 0;
        }
        rig.flash = rig.now;
        ++found.cuts;
    }
    return found;
}

} // namespace

TEST_CASE("after a power cut at any write the queue holds exactly what was committed") {
    const std::uint64_t images = number_of("THINGS_CRASH_IMAGES", 800);
    const std::uint64_t seed = number_of("THINGS_CRASH_SEED", 1);
    INFO("seed " << seed);
    log::set_level(log::Level::error);
    CrashRig rig("crash", seed);
    if (const char* bug = std::getenv("THINGS_CRASH_BUG"))
        rig.disk.plant(std::string(bug) == "normal" ? MemoryVfs::Bug::late_log_syncs
                                                    : MemoryVfs::Bug::no_syncs);
    const Findings found = cut_power(rig, images);
    log::set_level(log::Level::info);
    CHECK(found.wrong == 0);
    CHECK(found.unopened == 0);
    MESSAGE(found.images << " images of " << found.cuts << " cuts, " << found.wrong << " wrong, "
                         << found.unopened << " unopened, " << rig.now.books.read << " readings");
}

TEST_CASE("the crash test sees a disk that does not sync") {
    log::set_level(log::Level::error);
    CrashRig rig("crash without syncs", 1);
    SUBCASE("at all") {
        rig.disk.plant(MemoryVfs::Bug::no_syncs);
    }
    SUBCASE("before it is too late, as with synchronous=NORMAL") {
        rig.disk.plant(MemoryVfs::Bug::late_log_syncs);
    }
    const Findings found = cut_power(rig, 40);
    log::set_level(log::Level::info);
    CHECK(found.wrong + found.unopened > 0);
}
