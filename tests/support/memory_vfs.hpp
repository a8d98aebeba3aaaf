// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

// A SQLite file layer in memory that knows what was synced: it makes the images that a power cut could leave
// behind, and fails on demand. Any thread; registered under its name while it lives.
namespace things {

/// What of the writes that were not synced survives a power cut.
enum class Survival : std::uint8_t { none, all, some_writes, some_sectors };

class MemoryVfs {
public:
    using Image = std::map<std::string, std::string>; ///< path, bytes

    explicit MemoryVfs(std::string name);
    ~MemoryVfs();
    MemoryVfs(const MemoryVfs&) = delete;
    MemoryVfs& operator=(const MemoryVfs&) = delete;
    [[nodiscard]] const std::string& name() const { return name_; }

    // Power cuts
    /// Remembers everything as it is before operation `number` (counted from now, 1: the next).
    void cut_at(std::uint64_t number);
    /// Whether the cut happened.
    [[nodiscard]] bool was_cut() const;
    /// An image of the disk after the cut (of now, if there was none).
    [[nodiscard]] Image image(std::mt19937_64& random, Survival survival) const;
    /// Replaces all files; everything in them counts as synced.
    void load(const Image& image);
    /// Planted bugs: syncs are promised and not done; those of the write-ahead log are done only when the
    /// database is written, as with synchronous=NORMAL.
    enum class Bug : std::uint8_t { none, no_syncs, late_log_syncs };
    void plant(Bug bug);

    // Faults
    enum class Fault : std::uint8_t { io, full, readonly };
    /// Lets operation `number` (from now, 1: the next) fail, and all later ones if `sticky`. 0: heal.
    void fail_at(std::uint64_t number, Fault fault, bool sticky);
    /// Lets every operation hang until it is called with false.
    void hold(bool on);
    /// Whether an operation hangs at this moment.
    [[nodiscard]] bool is_holding() const;
    /// Bytes that all files together may have; 0: no limit.
    void limit_size(std::uint64_t bytes);
    /// Operations (writes, truncations, syncs, and with faults reads and opens) so far.
    [[nodiscard]] std::uint64_t operations() const;

private:
    struct Write {
        std::uint64_t offset = 0;
        std::string bytes;
        bool is_truncation = false; ///< to `offset`
    };
    struct Data {
        std::string current, synced;
        std::vector<Write> pending; ///< since the last sync
    };
    using Files = std::map<std::string, Data>;
    struct Layer; ///< SQLite's side
    friend struct Layer;

    /// Counts an operation, hangs in it if asked to; a SQLite error code if it fails. The mutex is locked.
    int enter(bool changes);
    static void apply(std::string& bytes, const Write& write);
    static void sync(Data& data);

    std::string name_;
    // any: it waits with the mutex of whoever called enter()
    std::condition_variable_any released_;
    mutable std::mutex mutex_;
    Files files_;
    std::optional<Files> cut_;
    std::uint64_t count_ = 0, cut_at_ = 0, fail_at_ = 0, size_limit_ = 0;
    Fault fault_ = Fault::io;
    bool sticky_ = false, hold_ = false, is_holding_ = false;
    Bug bug_ = Bug::none;
    Layer* layer_;
};

} // namespace things
