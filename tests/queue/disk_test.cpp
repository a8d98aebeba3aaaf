// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <sqlite3.h>
#include <unistd.h>

using namespace things;

// A disk that has no room, or loses a file at the wrong moment, while something else is wrong too. SQLite's
// own calls are the disk: they find no room as long as the ballast, or a file of that name, is there.
namespace {

std::string takes_all_room;  // path; empty: there is room
bool answers = true;         // false: nothing can be opened
std::string goes_at_a_write; // path of a file that somebody removes at the next write; empty: nobody
std::string goes_when_open;  // the same, once it is open

bool is_full() {
    return !takes_all_room.empty() && std::filesystem::exists(takes_all_room);
}

ssize_t write_at(int file, const void* bytes, size_t size, off_t offset) {
    if (!goes_at_a_write.empty())
        std::filesystem::remove(std::exchange(goes_at_a_write, {}));
    if (is_full()) {
        errno = ENOSPC;
        return -1;
    }
    return ::pwrite(file, bytes, size, offset);
}

int open_at(const char* path, int flags, int mode) {
    if (!answers) {
        errno = EIO;
        return -1;
    }
    const int file = ::open(path, flags, mode);
    if (path == goes_when_open)
        std::filesystem::remove(std::exchange(goes_when_open, {}));
    return file;
}

/// SQLite's calls are these as long as it lives.
class NarrowDisk {
public:
    NarrowDisk() {
        set("pwrite64", reinterpret_cast<sqlite3_syscall_ptr>(write_at));
        set("pwrite", reinterpret_cast<sqlite3_syscall_ptr>(write_at));
        set("open", reinterpret_cast<sqlite3_syscall_ptr>(open_at));
    }
    ~NarrowDisk() {
        for (const char* name : {"pwrite64", "pwrite", "open"})
            set(name, nullptr);
        takes_all_room.clear();
        answers = true;
    }
    NarrowDisk(const NarrowDisk&) = delete;
    NarrowDisk& operator=(const NarrowDisk&) = delete;

private:
    static void set(const char* name, sqlite3_syscall_ptr call) {
        sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
        (void)system->xSetSystemCall(system, name,
                                     call); // which of the writing calls it has depends on the build
    }
};

/// 20,000 readings of one device, most of them on flash alone.
struct DiskRig : QueueRig {
    NarrowDisk disk;
    DiskRig() {
        log::set_level(log::Level::error);
        options.cache_limit = 1000;
        open();
        const SeriesId series = queue->series(queue->device("a"), "v", "");
        for (int i = 0; i < 40'000; ++i) {
            clock.advance(10);
            queue->append(reading(series, i + 0.321));
        }
        REQUIRE(commit());
        REQUIRE(std::filesystem::exists(ballast()));
    }
    ~DiskRig() {
        close();
        log::set_level(log::Level::info);
    }
    [[nodiscard]] std::string ballast() const { return options.config.path.string() + ".ballast"; }
    [[nodiscard]] bool is_told(const std::string& code) const {
        const QueueStatus s = queue->status();
        return std::any_of(s.alarms.begin(), s.alarms.end(),
                           [&code](const QueueAlarm& a) { return a.code == code; });
    }
    void append_one() { queue->append(reading(0, -1)); }
    /// The machine loses power: what is at the path is all there is. Not started again yet.
    void cut_power() {
        const auto copy = folder.path() / "flash after the cut";
        std::filesystem::copy(options.config.path.parent_path(), copy);
        close();
        std::filesystem::remove_all(options.config.hot_path);
        options.config.path = copy / options.config.path.filename();
        clock.id += "+";
    }
};

} // namespace

TEST_CASE("a file removed while the disk is full is written anew in the ballast's room") {
    DiskRig rig;
    std::filesystem::remove(rig.options.config.path);
    takes_all_room = rig.ballast();
    rig.append_one();
    REQUIRE(rig.commit());
    CHECK(rig.is_told("replaced"));
    rig.cut_power();
    rig.open();
    REQUIRE(rig.queue->status().queued == 40'001);
    CHECK(rig.take(0, Lane::backlog, 50'000).readings.size() == 40'001);
}

TEST_CASE("a file that is gone and finds no room stays in use until there is some") {
    DiskRig rig;
    bool is_replaced = false;
    SUBCASE("removed") {
        std::filesystem::remove(rig.options.config.path);
    }
    SUBCASE("replaced") {
        std::filesystem::remove(rig.options.config.path);
        std::ofstream(rig.options.config.path) << "not a queue";
        is_replaced = true;
    }
    takes_all_room = "/";
    rig.append_one();
    for (int i = 0; i < 5; ++i)
        CHECK_FALSE(rig.commit());
    CHECK(rig.is_told("flash"));
    const Batch backlog = rig.take(0, Lane::backlog, 1000); // goes on being sent
    CHECK(backlog.readings.size() == 1000);
    rig.accept(backlog);
    takes_all_room.clear();
    REQUIRE(rig.commit());
    CHECK_FALSE(rig.is_told("flash"));
    const std::string path = rig.options.config.path.string();
    CHECK(std::filesystem::exists(path + ".aside-1") == is_replaced); // five attempts, and aside only once
    CHECK_FALSE(std::filesystem::exists(path + ".aside-2"));
    rig.cut_power();
    rig.open();
    REQUIRE(rig.queue->status().queued == 39'001);
    CHECK(rig.take(0, Lane::backlog, 50'000).readings.size() == 39'001);
}

TEST_CASE("a file that is removed while a commit writes is noticed by the next") {
    DiskRig rig;
    SUBCASE("the database") {
        goes_at_a_write = rig.options.config.path.string();
    }
    SUBCASE("its log") {
        goes_at_a_write = rig.options.config.path.string() + "-wal";
    }
    for (int i = 0; i < 2; ++i) {
        rig.append_one();
        REQUIRE(rig.commit());
    }
    CHECK(rig.is_told("replaced"));
    rig.cut_power();
    rig.open();
    REQUIRE(rig.queue->status().queued == 40'002);
    CHECK(rig.take(0, Lane::backlog, 50'000).readings.size() == 40'002);
}

TEST_CASE("a log that is removed while a start reads it is missed by the first commit") {
    DiskRig rig;
    goes_when_open = rig.options.config.path.string() + "-wal";
    rig.reopen();
    REQUIRE(goes_when_open.empty());
    rig.append_one();
    REQUIRE(rig.commit());
    CHECK(rig.is_told("replaced"));
    rig.cut_power();
    rig.open();
    REQUIRE(rig.queue->status().queued == 40'001);
    CHECK(rig.take(0, Lane::backlog, 50'000).readings.size() == 40'001);
}

TEST_CASE("a disk that comes back without room keeps the readings of before") {
    DiskRig rig;
    rig.append_one();
    REQUIRE(rig.commit());
    rig.cut_power(); // with a write-ahead log that is not in the database yet
    answers = false;
    rig.open();
    CHECK(rig.is_told("flash"));
    rig.queue->append(rig.reading(rig.queue->series(rig.queue->device("b"), "w", ""), 1));
    answers = true;
    takes_all_room = rig.ballast();
    CHECK_FALSE(rig.commit());
    CHECK(rig.is_told("restart"));
    rig.reopen();
    REQUIRE(rig.queue->status().queued == 40'002);
}
