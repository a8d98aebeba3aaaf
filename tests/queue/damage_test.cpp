// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>

#include <sqlite3.h>

using namespace things;

// The queue always opens, whatever stands in its place. THINGS_DAMAGE_TRIALS sets the number of random
// damages (default 300).
namespace {

std::string slurp(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// A queue file with 20,000 readings of two devices in blocks and some in segments; closed.
struct DamageRig : QueueRig {
    std::string bytes;
    DamageRig() {
        log::set_level(log::Level::error);
        open();
        for (int d = 0; d < 2; ++d) {
            const SeriesId s = queue->series(queue->device("device-" + std::to_string(d)), "v", "Cel");
            for (int i = 0; i < 40'000; ++i) {
                clock.advance(10);
                queue->append(reading(s, i + 0.321));
            }
        }
        REQUIRE(commit());
        for (int k = 0; k < 3; ++k) {
            queue->append(reading(0, k));
            REQUIRE(commit());
        }
        close();
        std::filesystem::remove_all(options.config.hot_path);
        bytes = slurp(options.config.path);
        REQUIRE(bytes.size() > 300'000);
    }
    ~DamageRig() { log::set_level(log::Level::info); }
    void damage(const std::string& damaged) {
        spill(options.config.path, damaged);
        std::filesystem::remove(options.config.path.string() + "-wal");
        clock.id += "+";
    }
    /// Takes all there is; returns how many readings, and checks that none is twice or wrong.
    std::size_t drain() {
        std::set<std::pair<SeriesId, double>> seen;
        for (DeviceId d = 0; d < queue->status().devices.size(); ++d)
            for (int failures = 0; queue->waiting(d).backlog > 0;) {
                const Batch b = take(d, Lane::backlog, 5000);
                if (b.readings.empty()) { // damage was met: the next commits mend it
                    REQUIRE(++failures < 4);
                    commit();
                    continue;
                }
                for (const Reading& r : b.readings) {
                    REQUIRE(r.series == d);
                    REQUIRE(seen.emplace(r.series, std::get<double>(r.value)).second);
                }
                accept(b);
            }
        const QueueStatus s = queue->status();
        CHECK(s.queued == 0);
        CHECK(s.books.queued() == 0);
        return seen.size();
    }
};

} // namespace

TEST_CASE("something else in the queue's place is put aside") {
    QueueRig rig;
    const auto path = rig.options.config.path;
    std::filesystem::create_directories(path.parent_path());
    SUBCASE("zeros") {
        spill(path, std::string(100'000, '\0'));
    }
    SUBCASE("text") {
        spill(path, "this is not a database, it is a sentence that goes on for a while");
    }
    SUBCASE("a directory") {
        std::filesystem::create_directories(path / "x");
    }
    SUBCASE("a link") {
        spill(path.string() + ".target", "untouched");
        std::filesystem::create_symlink(path.string() + ".target", path);
    }
    SUBCASE("a database of another program") {
        sqlite3* db = nullptr;
        REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
        REQUIRE(sqlite3_exec(db, "CREATE TABLE cookies(a); INSERT INTO cookies VALUES(1)", nullptr, nullptr,
                             nullptr) == SQLITE_OK);
        sqlite3_close(db);
    }
    rig.open();
    CHECK(std::filesystem::is_regular_file(std::filesystem::symlink_status(path)));
    CHECK(std::filesystem::exists(std::filesystem::symlink_status(path.string() + ".damaged-1")));
    rig.queue->append(rig.reading(rig.queue->series(rig.queue->device("a"), "v", ""), 1));
    CHECK(rig.commit());
    rig.power_cut();
    CHECK(rig.queue->status().queued == 1);
}

TEST_CASE("at most three damaged files are kept") {
    QueueRig rig;
    for (int i = 0; i < 5; ++i) {
        std::filesystem::create_directories(rig.options.config.path.parent_path());
        spill(rig.options.config.path, "garbage number " + std::to_string(i) + std::string(5000, 'x'));
        std::filesystem::remove(rig.options.config.path.string() + "-wal");
        rig.open();
        rig.close();
    }
    int kept = 0;
    for (const auto& entry : std::filesystem::directory_iterator(rig.options.config.path.parent_path()))
        kept += entry.path().string().find(".damaged-") != std::string::npos ? 1 : 0;
    CHECK(kept == 3);
}

TEST_CASE("a queue of a newer version is refused and not touched") {
    QueueRig rig;
    rig.open();
    rig.close();
    const std::string path = rig.options.config.path.string();
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "PRAGMA user_version = 2", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    const std::string before = slurp(path);
    CHECK_THROWS_WITH_AS(rig.open(), doctest::Contains("newer program"), QueueError);
    CHECK(slurp(path) == before);
}

TEST_CASE("a queue in use by another gateway is refused") {
    QueueRig rig;
    rig.open();
    QueueOptions same = rig.options;
    CHECK_THROWS_WITH_AS(Queue(rig.loop.get_executor(), rig.clock, same),
                         doctest::Contains("another gateway"), QueueError);
}

TEST_CASE("one damaged page costs the readings on it and no others") {
    DamageRig rig;
    std::string damaged = rig.bytes;
    const std::size_t at = damaged.size() / 2 / 1024 * 1024 + 300;
    damaged.replace(at, 8, "damaged!");
    rig.damage(damaged);
    rig.open();
    const std::size_t there = rig.drain();
    CHECK(there < 80'003);
    CHECK(there > 80'003 - 10'000);
    const Books books = rig.queue->status().books;
    CHECK(books.read == 80'003);
    CHECK(books.dropped[static_cast<std::size_t>(DropReason::damaged)] == 80'003 - there);
}

TEST_CASE("whatever happens to the file, the queue opens and its books balance") {
    const char* text = std::getenv("THINGS_DAMAGE_TRIALS");
    const int trials = text == nullptr ? 300 : std::atoi(text);
    DamageRig rig;
    std::mt19937_64 random(7);
    std::uint64_t rescued = 0, whole = 0;
    for (int i = 0; i < trials; ++i) {
        std::string damaged = rig.bytes;
        const std::size_t at = random() % damaged.size();
        switch (random() % 5) {
        case 0: // bits
            for (int k = 0; k < 1 + static_cast<int>(random() % 8); ++k)
                damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
            break;
        case 1: // a sector of zeros
            damaged.replace(at / 512 * 512, std::min<std::size_t>(512, damaged.size() - at / 512 * 512), 512,
                            '\0');
            damaged.resize(rig.bytes.size());
            break;
        case 2: // four sectors of noise
            for (std::size_t k = at; k < std::min(at + 2048, damaged.size()); ++k)
                damaged[k] = static_cast<char>(random());
            break;
        case 3: // cut short
            damaged.resize(at);
            break;
        default: // the head of the file
            for (std::size_t k = 0; k < 1 + random() % 2000; ++k)
                damaged[random() % 2048] = static_cast<char>(random());
            break;
        }
        rig.damage(damaged);
        REQUIRE_NOTHROW(rig.open());
        const std::size_t there = rig.drain();
        rescued += there;
        whole += there == 80'003 ? 1 : 0;
        rig.queue->append(rig.reading(rig.queue->series(rig.queue->device("device-0"), "v", "Cel"), -1));
        REQUIRE(rig.commit());
        rig.close();
        std::filesystem::remove_all(rig.options.config.hot_path);
    }
    MESSAGE(trials << " damages, " << whole << " without loss, "
                   << rescued / static_cast<std::uint64_t>(trials)
                   << " of 80,003 readings rescued on average");
}
