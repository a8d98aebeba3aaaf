// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "queue/flash/rescue.hpp"
#include "queue/flash/sqlite.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>

#include <sqlite3.h>

using namespace things;

// The queue always opens, whatever stands in its place. Random damage is salvage_test.cpp's.
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
    /// Where the root page of a table begins.
    [[nodiscard]] std::size_t root_of(const std::string& table) const {
        DiskCounters unused;
        Connection connection(options.config.path.string(), "", unused);
        connection.exec("PRAGMA locking_mode = EXCLUSIVE");
        return (static_cast<std::size_t>(
                    connection.number("SELECT rootpage FROM sqlite_master WHERE name = '" + table + "'")) -
                1) *
               1024;
    }
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

bool is_told(const Queue& queue, const std::string& code) {
    const QueueStatus s = queue.status();
    return std::any_of(s.alarms.begin(), s.alarms.end(),
                       [&code](const QueueAlarm& a) { return a.code == code; });
}

} // namespace

TEST_CASE("something else in the queue's place is put aside") {
    QueueRig rig;
    const auto path = rig.options.config.path;
    std::filesystem::create_directories(path.parent_path());
    std::string ending = ".aside-1"; // "damaged" is said of damage only
    SUBCASE("zeros") {
        ending = ".damaged-1";
        spill(path, std::string(100'000, '\0'));
    }
    SUBCASE("text") {
        ending = ".damaged-1";
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
    CHECK(std::filesystem::exists(std::filesystem::symlink_status(path.string() + ending)));
    CHECK(is_told(*rig.queue, "damaged") == (ending == ".damaged-1"));
    CHECK(is_told(*rig.queue, "refused") == (ending == ".aside-1"));
    rig.queue->append(rig.reading(rig.queue->series(rig.queue->device("a"), "v", ""), 1));
    CHECK(rig.commit());
    rig.power_cut();
    CHECK(rig.queue->status().queued == 1);
}

TEST_CASE("a file that is removed or replaced while in use is written anew with all that it held") {
    DamageRig rig;
    rig.options.cache_limit = 1000; // most of it is on flash alone
    rig.open();
    const std::filesystem::path path = rig.options.config.path;
    std::size_t count = 80'004;
    SUBCASE("the file") {
        std::filesystem::remove(path);
    }
    SUBCASE("all files") {
        for (const char* end : {"", "-wal", ".lock", ".ballast"})
            std::filesystem::remove(path.string() + end);
    }
    SUBCASE("its log") {
        rig.queue->append(rig.reading(0, -2));
        REQUIRE(rig.commit());
        ++count;
        REQUIRE(std::filesystem::remove(path.string() + "-wal"));
    }
    SUBCASE("its log, before the first commit of a start") {
        rig.queue->append(rig.reading(0, -2));
        REQUIRE(rig.commit());
        ++count;
        const std::string file = slurp(path), log = slurp(path.string() + "-wal");
        REQUIRE(!log.empty());
        rig.close();
        spill(path, file);
        spill(path.string() + "-wal", log);
        rig.open();
        REQUIRE(std::filesystem::remove(path.string() + "-wal"));
    }
    SUBCASE("its log, before the first commit after an orderly end") {
        rig.close();
        rig.open();
        REQUIRE(std::filesystem::remove(path.string() + "-wal"));
    }
    SUBCASE("the folder") {
        std::filesystem::remove_all(path.parent_path());
    }
    SUBCASE("another file in its place") {
        std::filesystem::rename(path, path.string() + ".stolen");
        spill(path, "not a queue");
    }
    SUBCASE("a link in its place") {
        std::filesystem::rename(path, path.string() + ".stolen");
        std::filesystem::create_symlink("/dev/null", path);
    }
    rig.queue->append(rig.reading(0, -1));
    REQUIRE(rig.commit());
    CHECK(is_told(*rig.queue, "replaced"));
    CHECK_FALSE(is_told(*rig.queue, "damaged"));
    CHECK_THROWS_AS(Queue(rig.loop.get_executor(), rig.clock, rig.options), QueueError); // it is in use
    const std::string file = slurp(path), log = slurp(path.string() + "-wal");
    rig.power_cut();
    rig.close();
    spill(path, file); // as the cut leaves it, without an orderly end
    spill(path.string() + "-wal", log);
    rig.open();
    CHECK(rig.drain() == count);
}

TEST_CASE("that the file is gone is noticed within seconds, also when nothing is to be written") {
    DamageRig rig;
    rig.open();
    const std::filesystem::path path = rig.options.config.path;
    for (int i = 0; i < 600; ++i) { // all that a start has to say is on flash
        rig.clock.advance(1000);
        rig.queue->tick();
        rig.loop.restart();
        rig.loop.poll();
    }
    std::filesystem::remove_all(path.parent_path());
    rig.run_until([&rig] { // a look may be under way already
        rig.clock.advance(1000);
        rig.queue->tick();
        return is_told(*rig.queue, "replaced");
    });
    const std::string file = slurp(path), log = slurp(path.string() + "-wal");
    rig.power_cut();
    rig.close();
    spill(path, file); // as the cut leaves it, without an orderly end
    spill(path.string() + "-wal", log);
    rig.open();
    CHECK(rig.drain() == 80'003);
}

TEST_CASE("that the hot log is gone is noticed within seconds, and written again") {
    QueueRig rig;
    rig.open();
    const SeriesId series = rig.queue->series(rig.queue->device("a"), "v", "");
    rig.queue->append(rig.reading(series, 1));
    rig.queue->tick();
    std::filesystem::remove_all(rig.options.config.hot_path);
    for (int i = 0; i < 4; ++i) {
        rig.clock.advance(1000);
        rig.queue->tick();
        if (i == 1)
            CHECK(is_told(*rig.queue, "hot"));
    }
    CHECK_FALSE(is_told(*rig.queue, "hot"));
    const std::filesystem::path copy = rig.folder.path() / "what kill -9 leaves";
    std::filesystem::copy(rig.options.config.hot_path, copy);
    rig.close();
    rig.options.config.hot_path = copy;
    std::filesystem::remove_all(rig.options.config.path.parent_path());
    rig.open();
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

TEST_CASE("damage raises an alarm, which ends a day later") {
    DamageRig rig;
    SUBCASE("found at the start") {
        std::string damaged = rig.bytes;
        damaged.replace(damaged.find("Cel"), 3, "???"); // in the catalogue
        rig.damage(damaged);
        rig.open();
    }
    SUBCASE("found while in use") {
        std::string damaged = rig.bytes;
        damaged.replace(damaged.size() / 2 / 1024 * 1024, 1024, 1024, 'x');
        rig.damage(damaged);
        rig.open();
        CHECK_FALSE(is_told(*rig.queue, "damaged"));
        rig.drain();
    }
    CHECK(is_told(*rig.queue, "damaged"));
    const SeriesId series = rig.queue->series(rig.queue->device("device-0"), "v", "Cel");
    for (const bool is_over : {false, true}) {
        rig.clock.advance(is_over ? 60'000 : 86'340'000);
        rig.queue->append(rig.reading(series, 1));
        REQUIRE(rig.commit());
        CHECK(is_told(*rig.queue, "damaged") == !is_over);
    }
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

TEST_CASE("without its first page a queue is saved all the same") {
    DamageRig rig;
    std::string damaged = rig.bytes;
    damaged.replace(0, 1024, 1024, '\0');
    rig.damage(damaged);
    rig.open();
    CHECK(rig.drain() == 80'003);
}

TEST_CASE("what a rescue saved is there although the hot log of before has not heard of it") {
    QueueRig rig;
    rig.open();
    const SeriesId series = rig.queue->series(rig.queue->device("a"), "v", "Cel");
    for (int i = 0; i < 20; ++i) {
        rig.clock.advance(10);
        rig.queue->append(rig.reading(series, i));
    }
    REQUIRE(rig.commit());
    rig.accept(rig.take(0, Lane::live, 5)); // known to the hot log alone
    rig.close();
    std::fstream(rig.options.config.path, std::ios::in | std::ios::out | std::ios::binary)
        .write(std::string(1024, '\0').data(), 1024);
    rig.open();
    CHECK(rig.queue->status().queued == 15);
    CHECK(rig.take(0, Lane::backlog, 100).readings.size() == 15);
}

TEST_CASE("without the root of its blocks a queue is saved all the same") {
    DamageRig rig;
    std::string damaged = rig.bytes;
    damaged.replace(rig.root_of("block"), 1024, 1024, '\0');
    SUBCASE("alone") {}
    SUBCASE("and without its first page") {
        damaged.replace(0, 1024, 1024, '\0');
    }
    rig.damage(damaged);
    rig.open();
    CHECK(rig.drain() == 80'003);
}

TEST_CASE("without its catalogue a queue is saved with the copy") {
    DamageRig rig;
    std::string damaged = rig.bytes;
    const std::size_t at = damaged.find("Cel");
    damaged.replace(at / 1024 * 1024, 1024, 1024, '\0');
    REQUIRE(damaged.find("Cel") != std::string::npos); // the copy
    rig.damage(damaged);
    rig.open();
    CHECK(rig.drain() == 80'003);
}

TEST_CASE("a rescue says what was saved and what was not") {
    DamageRig rig;
    std::string damaged = rig.bytes, told;
    SUBCASE("all, from the leaves of its tree") {
        damaged.replace(rig.root_of("block"), 1024, 1024, '\0');
        told = "Rescued 80003 of 80003 readings";
    }
    SUBCASE("all, with the copy of its names") {
        damaged.replace(damaged.find("Cel") / 1024 * 1024, 1024, 1024, '\0');
        told = "Rescued 80003 of 80003 readings";
    }
    SUBCASE("not all") {
        damaged.replace(damaged.size() / 2 / 1024 * 1024 + 300, 8, "damaged!");
        rig.damage(damaged);
        rig.open();
        told = "Rescued " + std::to_string(rig.drain()) + " of 80003 readings";
        rig.close();
    }
    SUBCASE("without what had been sent") {
        damaged.replace(rig.root_of("state"), 1024, 1024, '\0');
        told = "Rescued 80003 readings; what had been sent is not known any more and is sent again";
    }
    SUBCASE("it is not known how many there were") {
        damaged.replace(rig.root_of("state"), 1024, 1024, '\0');
        damaged.replace(damaged.size() / 2 / 1024 * 1024 + 300, 8, "damaged!");
        rig.damage(damaged);
        rig.open();
        told = "Rescued " + std::to_string(rig.drain()) +
               " readings; in 1 place nothing could be read, what was there "
               "is not known; what had been sent is not known any more and is sent again";
        rig.close();
    }
    const std::string old = rig.folder.path() / "old.db", fresh = rig.folder.path() / "new.db";
    spill(old, damaged);
    DiskCounters unused;
    CHECK(rescue(old, fresh, "", unused) == told);
}

TEST_CASE("the tables of a queue fit on its first page") {
    DamageRig rig;
    CHECK(rig.bytes[100] == '\x0d'); // a leaf of SQLite's tree
}
