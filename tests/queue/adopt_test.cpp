// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include <unistd.h>

using namespace things;

// Another queue's readings: each of them once, with its time, and in the books.
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// What is known of a reading: device, series, time, value.
using Known = std::tuple<std::string, std::string, std::int64_t, double>;

struct AdoptRig : QueueRig {
    AdoptRig() { log::set_level(log::Level::error); }
    ~AdoptRig() { log::set_level(log::Level::info); }

    void append(const std::string& device, int count, double from = 0) {
        const SeriesId series = queue->series(queue->device(device), "v", "Cel");
        for (int i = 0; i < count; ++i) {
            clock.advance(10);
            queue->append(reading(series, from + i));
        }
    }
    AdoptResult adopt(const fs::path& file, bool rescue = false) {
        std::optional<AdoptResult> out;
        queue->adopt(file.string(), rescue, [&out](AdoptResult result) { out = std::move(result); });
        run_until([&out] { return out.has_value(); });
        return *out;
    }
    /// All that waits, which is accepted.
    std::multiset<Known> drain() {
        std::multiset<Known> all;
        for (DeviceId d = 0; d < queue->status().devices.size(); ++d)
            for (const Lane lane : {Lane::live, Lane::backlog})
                for (Batch b = take(d, lane, 5000); !b.readings.empty(); b = take(d, lane, 5000)) {
                    for (const Reading& r : b.readings)
                        all.emplace(queue->dvnuuid(d), queue->series(r.series).name, r.stamp.ms,
                                    std::get<double>(r.value));
                    accept(b);
                }
        return all;
    }
    void check_books() const {
        const QueueStatus s = queue->status();
        CHECK(s.books.queued() == s.queued);
    }
    [[nodiscard]] std::string alarm(const std::string& code) const {
        for (const QueueAlarm& a : queue->status().alarms)
            if (a.code == code)
                return a.text;
        return {};
    }
    /// Ticks, a second each, until a condition holds.
    void tick_until(const std::function<bool()>& done) {
        run_until([this, &done] {
            clock.advance(1000);
            queue->tick();
            loop.restart();
            loop.poll();
            return done();
        });
    }
};

/// A queue of another place with readings in blocks and in segments, and a dead letter; closed.
struct OtherRig : AdoptRig {
    std::multiset<Known> all;
    explicit OtherRig(int count = 10'000) {
        clock.id = "boot-of-other";
        open();
        append("a", count);
        REQUIRE(commit());
        append("b", 30, 1000);
        append("a", 20, 20'000);
        REQUIRE(commit());
        const Batch one = take(1, Lane::live, 1);
        queue->settle(one, 0, 1, Fate::dead, "no such point");
        REQUIRE(commit());
        close();
        fs::remove_all(options.config.hot_path);
        open();
        all = peek();
        close();
        fs::remove_all(options.config.hot_path);
    }
    [[nodiscard]] fs::path file() const { return options.config.path; }

private:
    std::multiset<Known> peek() {
        std::multiset<Known> found;
        for (DeviceId d = 0; d < 2; ++d) {
            const Batch b = take(d, Lane::backlog, 1'000'000);
            for (const Reading& r : b.readings)
                found.emplace(queue->dvnuuid(d), queue->series(r.series).name, r.stamp.ms,
                              std::get<double>(r.value));
            keep(b);
        }
        return found;
    }
};

} // namespace

TEST_CASE("what waits in another queue's file is taken in once, as backlog, with its times") {
    OtherRig other;
    const std::string bytes = slurp(other.file());
    AdoptRig rig;
    rig.open();
    rig.append("b", 5);
    rig.append("c", 5);
    const AdoptResult result = rig.adopt(other.file());
    CHECK(result.problem.empty());
    CHECK(result.readings == other.all.size());
    CHECK(result.letters == 1);
    CHECK(result.devices == std::map<std::string, std::uint64_t>{{"a", 10'020}, {"b", 29}});
    CHECK(slurp(other.file()) == bytes);
    CHECK_FALSE(fs::exists(rig.options.config.path.string() + ".adopt"));
    const QueueStatus s = rig.queue->status();
    CHECK(s.books.read == 10);
    CHECK(s.books.adopted == other.all.size() + 1);
    CHECK(s.books.dead == 1);
    rig.check_books();
    rig.append("a", 3);
    CHECK(rig.queue->waiting(rig.queue->device("a")).live == 3);
    SUBCASE("and is there at once") {}
    SUBCASE("and outlives the process") {
        rig.reopen();
    }
    SUBCASE("and a power cut") {
        REQUIRE(rig.commit());
        rig.power_cut();
    }
    CHECK(rig.adopt(other.file()).is_known);
    CHECK(rig.queue->dead_letters().size() == 1);
    std::multiset<Known> expected = other.all;
    const std::multiset<Known> found = rig.drain();
    CHECK(found.size() == expected.size() + 13);
    CHECK(std::includes(found.begin(), found.end(), expected.begin(), expected.end()));
    rig.check_books();
    CHECK(rig.adopt(other.file()).problem.find("taken in before") != std::string::npos);
}

TEST_CASE("a queue that ran on after it was taken in is taken in from there") {
    OtherRig other(100);
    AdoptRig rig, third;
    rig.open();
    REQUIRE(rig.adopt(other.file()).problem.empty());
    other.open();
    other.append("a", 7, 50'000);
    REQUIRE(other.commit());
    other.close();
    CHECK(rig.adopt(other.file()).readings == 7);
    CHECK(rig.adopt(other.file()).is_known);
    REQUIRE(rig.commit());
    rig.close();
    // Who takes that queue in knows the first one too.
    third.open();
    CHECK(third.adopt(rig.options.config.path).readings == other.all.size() + 7);
    CHECK(third.adopt(other.file()).is_known);
    CHECK(third.drain().size() == other.all.size() + 7);
}

TEST_CASE("a file that is none to take in is refused with the reason") {
    AdoptRig rig;
    rig.open();
    rig.append("a", 50);
    REQUIRE(rig.commit());
    const fs::path file = rig.folder.path() / "other.db";
    std::string reason;
    SUBCASE("not there") {
        reason = "there is no such file";
    }
    SUBCASE("a folder") {
        fs::create_directory(file);
        reason = "it is not a file";
    }
    SUBCASE("nothing in it") {
        spill(file, "");
        reason = "it is empty";
    }
    SUBCASE("text") {
        spill(file, "this is not a database, it is a sentence that goes on for a while");
        reason = "nothing in it can be read as a queue";
    }
    SUBCASE("our own") {
        fs::create_hard_link(rig.options.config.path, file);
        reason = "own queue";
    }
    SUBCASE("an earlier copy of our own") {
        fs::copy_file(rig.options.config.path, file);
        fs::copy_file(rig.options.config.path.string() + "-wal", file.string() + "-wal");
        rig.append("a", 3);
        reason = "taken in before";
    }
    SUBCASE("in use by another gateway") {
        AdoptRig other;
        other.open();
        other.append("a", 3);
        REQUIRE(other.commit());
        CHECK(rig.adopt(other.options.config.path).problem.find("another gateway is using it") !=
              std::string::npos);
        return;
    }
    const AdoptResult result = rig.adopt(file);
    CHECK(result.problem.find(reason) != std::string::npos);
    CHECK(result.readings == 0);
    CHECK(rig.queue->status().books.adopted == 0);
    rig.check_books();
}

TEST_CASE("of a damaged file what can be rescued is offered, and taken in when that is asked for") {
    OtherRig other;
    std::string bytes = slurp(other.file());
    REQUIRE(bytes.size() > 30'000);
    for (std::size_t at = bytes.size() - 1000; at < bytes.size(); ++at)
        bytes[at] = 'x';
    SUBCASE("some pages") {}
    SUBCASE("and the first one") {
        bytes.replace(0, 1024, 1024, '\0');
    }
    spill(other.file(), bytes);
    AdoptRig rig;
    rig.open();
    const AdoptResult offer = rig.adopt(other.file());
    CHECK(offer.is_damaged);
    CHECK(offer.rescue.find("Rescued") != std::string::npos);
    CHECK(rig.queue->status().queued == 0);
    const AdoptResult taken = rig.adopt(other.file(), true);
    CHECK(taken.problem.empty());
    CHECK(taken.readings > 1000);
    CHECK(taken.readings < other.all.size());
    CHECK(rig.adopt(other.file(), true).is_known);
    const std::multiset<Known> found = rig.drain();
    CHECK(found.size() == taken.readings);
    CHECK(std::includes(other.all.begin(), other.all.end(), found.begin(), found.end()));
    rig.check_books();
}

TEST_CASE("readings of a boot that never got a clock are dated by the policy") {
    AdoptRig other;
    other.clock.synchronised = false;
    other.clock.id = "boot-of-other";
    other.options.time.require_sync = true;
    other.open();
    const SeriesId series = other.queue->series(other.queue->device("a"), "v", "");
    for (int i = 0; i < 20; ++i)
        other.queue->append({series, {other.clock.boot + i, Stamp::Clock::boot}, i + 0.5});
    REQUIRE(other.commit());
    other.close();
    AdoptRig rig;
    SUBCASE("estimated") {
        rig.options.time.unsynced = Unsynced::send_estimate;
        rig.open();
        const AdoptResult result = rig.adopt(other.options.config.path);
        CHECK(result.readings == 20);
        CHECK(result.estimated == 20);
        CHECK(rig.queue->status().books.estimated == 20);
        CHECK(rig.drain().size() == 20);
    }
    SUBCASE("dropped") {
        rig.options.time.unsynced = Unsynced::drop;
        rig.open();
        CHECK(rig.adopt(other.options.config.path).unsynced == 20);
        CHECK(rig.queue->status().books.adopted == 20);
        CHECK(rig.queue->status().books.dropped[static_cast<std::size_t>(DropReason::unsynced)] == 20);
    }
    SUBCASE("held, also over a restart") {
        rig.options.time.unsynced = Unsynced::hold;
        rig.open();
        CHECK(rig.adopt(other.options.config.path).readings == 20);
        CHECK(rig.queue->status().devices[0].held == 20);
        rig.reopen();
        CHECK(rig.queue->status().devices[0].held == 20);
        CHECK(rig.queue->status().queued == 20);
    }
    rig.check_books();
    rig.reopen();
    rig.check_books();
    CHECK(rig.adopt(other.options.config.path).is_known);
}

TEST_CASE("an unfinished command of another queue is told and never carried out") {
    AdoptRig other;
    other.open();
    other.append("a", 1);
    Command command;
    command.device = "boiler";
    command.point = "pump";
    command.value = true;
    bool is_stored = false;
    other.queue->store({command}, [&is_stored](const std::vector<Command>&, bool) { is_stored = true; });
    other.run_until([&is_stored] { return is_stored; });
    other.close();
    AdoptRig rig;
    rig.open();
    const AdoptResult result = rig.adopt(other.options.config.path);
    CHECK(result.readings == 1);
    CHECK(result.unfinished == std::vector<std::string>{"boiler/pump (waiting)"});
    CHECK(rig.queue->unfinished().empty());
    rig.reopen();
    CHECK(rig.queue->unfinished().empty());
}

TEST_CASE("a sound queue that comes into the place of the one in use is merged with it") {
    OtherRig other;
    AdoptRig rig;
    rig.open();
    rig.append("a", 40, 90'000);
    REQUIRE(rig.commit());
    rig.append("c", 3);
    const fs::path path = rig.options.config.path, hidden = rig.folder.path() / "hidden";
    SUBCASE("by a file system that is mounted late") {
        fs::rename(path.parent_path(), hidden);
        fs::create_directory(path.parent_path());
        fs::copy_file(other.file(), path);
    }
    SUBCASE("by a backup that is restored over it") {
        fs::remove(path.string() + "-wal");
        fs::copy_file(other.file(), path.string() + ".new");
        fs::rename(path.string() + ".new", path);
    }
    rig.tick_until([&] { return rig.queue->status().books.adopted == other.all.size() + 1; });
    rig.tick_until([&] { return !fs::exists(path.string() + ".aside-1"); });
    CHECK(rig.alarm("damaged").empty());
    CHECK(rig.alarm("replaced").find("taken in") != std::string::npos);
    CHECK(rig.alarm("aside").empty());
    rig.check_books();
    REQUIRE(rig.commit());
    rig.power_cut();
    CHECK(rig.queue->status().queued == other.all.size() + 43);
    const std::multiset<Known> found = rig.drain();
    CHECK(found.size() == other.all.size() + 43);
    CHECK(std::includes(found.begin(), found.end(), other.all.begin(), other.all.end()));
    if (!fs::exists(hidden))
        return;
    // What lies below the mounted disk is sent no second time when it comes to light.
    AdoptRig below;
    below.options.config.path = hidden / "queue.db";
    below.open();
    CHECK(below.queue->status().queued == 0);
}

TEST_CASE("a file that was set aside is named with what is in it, until it was taken in") {
    OtherRig other(200);
    AdoptRig rig;
    fs::create_directories(rig.options.config.path.parent_path());
    const fs::path aside = rig.options.config.path.string() + ".damaged-4"; // as an older version called it
    fs::copy_file(other.file(), aside);
    rig.open();
    rig.tick_until([&] { return !rig.queue->status().aside.empty(); });
    const FileAside found = rig.queue->status().aside.front();
    CHECK(found.file == aside.string());
    CHECK(found.problem.empty());
    CHECK(found.readings == other.all.size());
    CHECK(found.letters == 1);
    CHECK(found.devices == std::map<std::string, std::uint64_t>{{"a", 220}, {"b", 29}});
    CHECK(rig.alarm("aside").find("queue adopt") != std::string::npos);
    CHECK(rig.adopt(aside).readings == other.all.size());
    CHECK(rig.queue->status().aside.front().readings == 0);
    CHECK(rig.alarm("aside").empty());
}

TEST_CASE("files that a stranger may have written are not taken in, and the queue works all the same") {
    OtherRig other(200);
    AdoptRig rig;
    const fs::path path = rig.options.config.path, folder = path.parent_path();
    fs::create_directories(folder);
    fs::create_directories(rig.options.config.hot_path);
    const bool is_root = ::geteuid() == 0;
    SUBCASE("a queue that others may write to") {
        fs::copy_file(other.file(), path);
        fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
        rig.open();
        CHECK(rig.alarm("refused").find("chmod 600") != std::string::npos);
        CHECK(rig.queue->status().queued == 0);
        rig.append("a", 1);
        CHECK(rig.commit());
        rig.tick_until([&] { return !rig.queue->status().aside.empty(); });
        CHECK(rig.queue->status().aside.front().problem.find("others may write") != std::string::npos);
        const fs::path aside = path.string() + ".aside-1";
        CHECK(rig.adopt(aside).readings == 0);
        fs::permissions(aside, fs::perms::owner_read | fs::perms::owner_write);
        CHECK(rig.adopt(aside).readings == other.all.size());
    }
    SUBCASE("a queue of another user's") {
        if (!is_root)
            return;
        fs::copy_file(other.file(), path);
        REQUIRE(::chown(path.c_str(), 12345, 12345) == 0);
        rig.open();
        CHECK(rig.alarm("refused").find("belongs to user 12345") != std::string::npos);
        CHECK(rig.queue->status().queued == 0);
        CHECK(fs::exists(path.string() + ".aside-1"));
    }
    SUBCASE("a folder that others may write to") {
        fs::copy_file(other.file(), path);
        fs::permissions(folder, fs::perms::others_write, fs::perm_options::add);
        rig.open();
        CHECK(rig.alarm("flash").find("chmod go-w " + folder.string()) != std::string::npos);
        CHECK(rig.queue->status().queued == 0);
        rig.append("a", 2);
        CHECK_FALSE(rig.commit());
        CHECK(fs::exists(path));
        rig.reopen(); // the hot log has them
        CHECK(rig.queue->status().queued == 2);
    }
    SUBCASE("a hot log in a folder that others may write to") {
        AdoptRig forger;
        forger.open();
        forger.append("a", 3);
        forger.close();
        fs::copy(forger.options.config.hot_path, rig.options.config.hot_path, fs::copy_options::recursive);
        REQUIRE_FALSE(fs::is_empty(rig.options.config.hot_path));
        fs::permissions(rig.options.config.hot_path, fs::perms::others_write, fs::perm_options::add);
        rig.open();
        CHECK(rig.queue->status().queued == 0);
        CHECK(rig.alarm("hot").find("chmod go-w") != std::string::npos);
        CHECK(rig.alarm("refused").find("hot") != std::string::npos);
        rig.append("a", 1);
        CHECK(rig.commit());
        fs::permissions(rig.options.config.hot_path, fs::perms::owner_all);
        rig.tick_until([&] { return rig.alarm("hot").empty(); });
    }
    SUBCASE("a file of the hot log that is another user's") {
        if (!is_root)
            return;
        AdoptRig forger;
        forger.open();
        forger.append("a", 3);
        forger.close();
        fs::copy(forger.options.config.hot_path, rig.options.config.hot_path, fs::copy_options::recursive);
        REQUIRE_FALSE(fs::is_empty(rig.options.config.hot_path));
        for (const auto& entry : fs::directory_iterator(rig.options.config.hot_path))
            REQUIRE(::chown(entry.path().c_str(), 12345, 12345) == 0);
        rig.open();
        CHECK(rig.queue->status().queued == 0);
        CHECK(rig.alarm("refused").find("belongs to user 12345") != std::string::npos);
    }
    rig.check_books();
}

TEST_CASE("a queue that finds itself on another machine says so for a day, and works on") {
    AdoptRig rig;
    rig.options.machine = {1, 2, {3}};
    rig.open();
    rig.append("a", 3);
    REQUIRE(rig.commit());
    CHECK(rig.alarm("machine").empty());
    rig.reopen();
    CHECK(rig.alarm("machine").empty());
    const std::string copy = slurp(rig.options.config.path),
                      log = slurp(rig.options.config.path.string() + "-wal");
    rig.options.machine.board = 9;
    rig.reopen();
    CHECK(rig.alarm("machine").find("another machine") != std::string::npos);
    rig.append("a", 4, 100);
    REQUIRE(rig.commit());
    rig.reopen();
    CHECK_FALSE(rig.alarm("machine").empty());
    // The first machine's ways are others from then on: what it read later is not what this one read.
    AdoptRig first;
    fs::create_directories(first.options.config.path.parent_path());
    spill(first.options.config.path, copy);
    spill(first.options.config.path.string() + "-wal", log);
    first.open();
    first.append("a", 5, 200);
    REQUIRE(first.commit());
    first.close();
    CHECK(rig.adopt(first.options.config.path).readings == 8);
    rig.clock.advance(86'400'001);
    rig.append("a", 1);
    REQUIRE(rig.commit());
    CHECK(rig.alarm("machine").empty());
    rig.reopen();
    CHECK(rig.alarm("machine").empty());
    rig.check_books();
}
