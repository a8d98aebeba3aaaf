// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <sqlite3.h>

using namespace things;

// Random damage of every kind to a queue's files: it opens within seconds, its books balance, nothing that it
// hands out is wrong or twice, and of the readings in rows that were not touched nearly all are there. Which
// pages a row lies on SQLite itself tells, before the damage. THINGS_DAMAGE_TRIALS sets the number (default
// 300), THINGS_DAMAGE_SEED the seed; with THINGS_DAMAGE_BUG rows are taken away behind the queue's back,
// which must be seen.
namespace {

constexpr int devices = 2;
constexpr std::size_t page_size = 1024;
constexpr double start_limit_s = 5;

std::uint64_t number_of(const char* variable, std::uint64_t fallback) {
    const char* text = std::getenv(variable);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

std::string slurp(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// A row of the table of blocks: which readings, on which pages.
struct Row {
    DeviceId device = 0;
    Span span;
    std::vector<std::size_t> pages; ///< from 0
};

/// All rows' places, from SQLite's own account of its pages.
std::vector<Row> rows_of(const std::string& path) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
    const auto query = [db](const char* sql, const auto& visit) {
        sqlite3_stmt* statement = nullptr;
        REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK);
        while (sqlite3_step(statement) == SQLITE_ROW)
            visit(statement);
        sqlite3_finalize(statement);
    };
    std::vector<Row> rows;
    query("SELECT device, first, last FROM block ORDER BY id", [&rows](sqlite3_stmt* s) {
        rows.push_back({static_cast<DeviceId>(sqlite3_column_int64(s, 0)),
                        {static_cast<std::uint64_t>(sqlite3_column_int64(s, 1)),
                         static_cast<std::uint64_t>(sqlite3_column_int64(s, 2))},
                        {}});
    });
    // A leaf's path ends in "/"; that of an overflow page says its leaf, "cell+number".
    std::size_t next = 0, leaf = 0;
    query("SELECT path, pageno, ncell, pagetype FROM dbstat WHERE name = 'block' ORDER BY path",
          [&](sqlite3_stmt* s) {
              const std::string place = reinterpret_cast<const char*>(sqlite3_column_text(s, 0));
              const std::string type = reinterpret_cast<const char*>(sqlite3_column_text(s, 3));
              const auto page = static_cast<std::size_t>(sqlite3_column_int64(s, 1)) - 1;
              if (type == "leaf") {
                  leaf = next;
                  next += static_cast<std::size_t>(sqlite3_column_int64(s, 2));
                  for (std::size_t i = leaf; i < next; ++i)
                      rows.at(i).pages.push_back(page);
              } else if (type == "overflow") {
                  const std::size_t cell = std::stoul(place.substr(place.rfind('/') + 1), nullptr, 16);
                  rows.at(leaf + cell).pages.push_back(page);
              }
          });
    sqlite3_close(db);
    REQUIRE(next == rows.size());
    return rows;
}

/// Takes every third row away.
void rob(const std::string& path) {
    sqlite3* db = nullptr;
    sqlite3_open(path.c_str(), &db);
    sqlite3_exec(db, "DELETE FROM block WHERE id % 3 = 0", nullptr, nullptr, nullptr);
    sqlite3_close(db);
}

double value_of(std::uint64_t number) {
    return static_cast<double>(number) + 0.321;
}

/// A queue that was never sent anything from, as files: the database and a write-ahead log of its last
/// commits.
class SalvageRig : public QueueRig {
public:
    std::string bytes, log, other_log;
    std::vector<Row> rows;
    std::uint64_t readings = 0; ///< of each device

    explicit SalvageRig(std::uint64_t seed) : random_(seed) {
        log::set_level(log::Level::error);
        fill(36'000); // enough that a page in a few hundred is one that all others hang on
        close();
        bytes = slurp(options.config.path);
        rows = rows_of(options.config.path.string());
        REQUIRE(bytes.size() % page_size == 0);
        // Commits that are in the log only.
        open();
        other_log = grow();
        log = grow();
        close();
    }
    ~SalvageRig() { log::set_level(log::Level::info); }

    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    /// Puts a damaged copy in place. Returns which pages of the database differ.
    std::set<std::size_t> damage() {
        std::string file = bytes, wal;
        const std::uint64_t kind = below(10);
        if (kind < 6)
            hurt(file, kind);
        else
            hurt_log(wal, kind);
        install(file, wal);
        std::set<std::size_t> pages;
        for (std::size_t p = 0; p < bytes.size() / page_size; ++p)
            if (file.size() < (p + 1) * page_size ||
                bytes.compare(p * page_size, page_size, file, p * page_size, page_size) != 0)
                pages.insert(p);
        return pages;
    }

    void install(const std::string& file, const std::string& wal) {
        const std::filesystem::path path = options.config.path;
        std::filesystem::remove_all(path.parent_path());
        std::filesystem::create_directories(path.parent_path());
        std::filesystem::remove_all(options.config.hot_path);
        spill(path, file);
        if (!wal.empty())
            spill(path.string() + "-wal", wal);
        clock.id = fmt::format("boot {}", ++boots);
    }

private:
    void fill(std::uint64_t count) {
        open();
        append(count);
        // Enough of them for a fold, so that all is in blocks.
        for (int i = 0; i < 70; ++i) {
            append(1);
            REQUIRE(commit());
        }
    }
    void append(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i, ++readings)
            for (int d = 0; d < devices; ++d) {
                const SeriesId s = queue->series(queue->device("device-" + std::to_string(d)), "v", "Cel");
                queue->append(reading(s, value_of(readings)));
                clock.advance(10);
            }
    }
    std::string grow() {
        append(5);
        REQUIRE(commit());
        return slurp(options.config.path.string() + "-wal");
    }

    void hurt(std::string& file, std::uint64_t kind) {
        const std::size_t at = below(file.size());
        const auto zero = [&file, at](std::size_t size) {
            const std::size_t begin = at / size * size;
            std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(begin),
                        std::min(size, file.size() - begin), '\0');
        };
        switch (kind) {
        case 0: // bits
            for (std::uint64_t k = 1 + below(8); k > 0; --k)
                file[below(file.size())] ^= static_cast<char>(1U << below(8));
            return;
        case 1:
            return zero(512);
        case 2:
            return zero(4096);
        case 3: // four sectors of noise
            for (std::size_t k = at; k < std::min(at + 2048, file.size()); ++k)
                file[k] = static_cast<char>(random_());
            return;
        case 4: // cut short
            return file.resize(at);
        default: // the first page
            if (below(3) == 0)
                file.replace(0, page_size, page_size, '\0');
            for (std::uint64_t k = 1 + below(400); k > 0; --k)
                file[below(page_size)] = static_cast<char>(random_());
            return;
        }
    }

    void hurt_log(std::string& wal, std::uint64_t kind) {
        wal = log;
        if (kind == 6)
            wal.resize(below(wal.size()));
        else if (kind == 7)
            wal[below(wal.size())] ^= static_cast<char>(1U << below(8));
        else if (kind == 8)
            wal = other_log; // an older one
        else
            wal.replace(below(wal.size()), 1, std::string(512, '\0'));
    }

    std::mt19937_64 random_;
};

/// What one opening showed.
struct Opening {
    std::vector<std::vector<bool>> there; ///< by device and number
    std::uint64_t wrong = 0;              ///< values or times that were never read, or twice
    double start_s = 0;
    bool balances = false;
};

void note(Opening& found, DeviceId d, const Reading& r, const SalvageRig& rig, std::int64_t begin_ms) {
    const auto number = static_cast<std::uint64_t>(std::get<double>(r.value));
    const bool is_known = d < devices && r.series == d && number < rig.readings &&
                          std::get<double>(r.value) == value_of(number);
    const std::int64_t time = begin_ms + static_cast<std::int64_t>(number * devices + d) * 10;
    if (!is_known || r.stamp.ms != time || found.there[d][number]) {
        ++found.wrong;
        return;
    }
    found.there[d][number] = true;
}

/// Opens what is there, takes all out, appends and commits.
Opening open_and_drain(SalvageRig& rig, std::int64_t begin_ms) {
    Opening found;
    found.there.assign(devices, std::vector<bool>(rig.readings));
    const auto begin = std::chrono::steady_clock::now();
    rig.open();
    found.start_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    for (DeviceId d = 0; d < rig.queue->status().devices.size(); ++d)
        for (int failures = 0; rig.queue->waiting(d).backlog > 0 && failures < 4;) {
            const Batch b = rig.take(d, Lane::backlog, 5000);
            if (b.readings.empty()) { // damage was met: the next commits mend it
                ++failures;
                rig.commit();
                continue;
            }
            for (const Reading& r : b.readings)
                note(found, d, r, rig, begin_ms);
            rig.accept(b);
        }
    const QueueStatus s = rig.queue->status();
    found.balances = s.queued == 0 && s.books.queued() == 0;
    rig.queue->append(rig.reading(rig.queue->series(rig.queue->device("device-0"), "v", "Cel"), -1));
    bool is_stored = false;
    for (int tries = 0; tries < 4 && !is_stored; ++tries)
        is_stored = rig.commit(); // the first ones may be what meets the damage, and mends it
    found.balances = is_stored && found.balances && rig.queue->status().books.queued() == 1;
    rig.close();
    return found;
}

struct Tally {
    std::uint64_t untouched = 0, salvaged = 0; ///< readings in rows that were not touched; of them there
    std::uint64_t poor = 0;                    ///< openings that had less than 99 % of them
    std::uint64_t wrong = 0, unbalanced = 0;
    double slowest_s = 0;

    void add(const SalvageRig& rig, const std::set<std::size_t>& pages, const Opening& found) {
        std::uint64_t here = 0, kept = 0;
        for (const Row& row : rig.rows)
            if (std::none_of(row.pages.begin(), row.pages.end(),
                             [&pages](std::size_t p) { return pages.count(p) > 0; }))
                for (std::uint64_t n = row.span.first; n < row.span.last; ++n) {
                    ++here;
                    kept += found.there[row.device][n] ? 1 : 0;
                }
        untouched += here;
        salvaged += kept;
        poor += static_cast<double>(kept) < 0.99 * static_cast<double>(here) ? 1 : 0;
        wrong += found.wrong;
        unbalanced += found.balances ? 0 : 1;
        slowest_s = std::max(slowest_s, found.start_s);
    }
};

} // namespace

TEST_CASE("whatever happens to the files, the queue opens, balances, and saves what was not touched") {
    const std::uint64_t trials = number_of("THINGS_DAMAGE_TRIALS", 300);
    const std::uint64_t seed = number_of("THINGS_DAMAGE_SEED", 7);
    const bool is_robbed = std::getenv("THINGS_DAMAGE_BUG") != nullptr;
    QueueRig before;
    const std::int64_t begin_ms = before.clock.wall;
    SalvageRig rig(seed);
    Tally tally;
    for (std::uint64_t i = 0; i < trials; ++i) {
        const std::set<std::size_t> pages = rig.damage();
        if (is_robbed)
            rob(rig.options.config.path.string());
        tally.add(rig, pages, open_and_drain(rig, begin_ms));
    }
    CHECK(tally.wrong == 0);
    CHECK(tally.unbalanced == 0);
    CHECK(tally.slowest_s < start_limit_s);
    CHECK(static_cast<double>(tally.salvaged) >= 0.99 * static_cast<double>(tally.untouched));
    MESSAGE(fmt::format("{} damages, {:.3f} % of the readings in untouched rows salvaged, {} with less than "
                        "99 %, {} wrong, {} unbalanced, slowest start {:.3f} s",
                        trials,
                        100.0 * static_cast<double>(tally.salvaged) / static_cast<double>(tally.untouched),
                        tally.poor, tally.wrong, tally.unbalanced, tally.slowest_s));
}
