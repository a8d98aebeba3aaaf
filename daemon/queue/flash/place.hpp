// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// The files around the queue's database: the lock that keeps a second gateway out, the ballast that makes
// room on a full disk, and the putting aside of what cannot be used. Archive's thread, and the opening one.
namespace things {

/// Held as long as the object lives. Throws QueueError if another process has it.
class PlaceLock {
public:
    /// `made`: PATH.lock is made if missing and never removed; if it cannot be made (read-only disk) there is
    /// no lock and no error. `if_there`: nothing is made.
    enum class Kind : std::uint8_t { made, if_there };
    explicit PlaceLock(const std::string& path, Kind kind = Kind::made);
    ~PlaceLock();
    PlaceLock(const PlaceLock&) = delete;
    PlaceLock& operator=(const PlaceLock&) = delete;

private:
    int descriptor_ = -1;
};

/// PATH.ballast: preallocated space that is given up when the disk is full, so that deletions, which need
/// room in the write-ahead log first, work. Larger than the log ever is between checkpoints.
/// Never throws; not having it is no error.
class Ballast {
public:
    Ballast(const std::string& path, std::int64_t size) : path_(path + ".ballast"), size_(size) {}
    /// Makes it if it is not there and the disk has twice its room. True: it is there.
    bool make();
    /// Gives it up. False: there was none.
    bool release();

private:
    std::string path_;
    std::int64_t size_;
};

/// PATH, whose folder is made if it is missing.
std::string prepared(const std::string& path);
/// Why a file is put aside: because it is damaged, or because something else is wrong with it.
enum class Aside : std::uint8_t { damaged, other };
/// Renames PATH and its write-ahead log to PATH.damaged-N or PATH.aside-N (and -wal); of each kind three are
/// kept, and queues beside them, whatever they hold. Returns the new name. Throws std::system_error if it
/// cannot be renamed. Durable only after sync_folder().
std::string put_aside(const std::string& path, Aside why);
/// All of them, oldest first, the damaged ones in front.
[[nodiscard]] std::vector<std::string> files_aside(const std::string& path);
/// The newest of the damaged ones; empty: none.
[[nodiscard]] std::string newest_damaged(const std::string& path);
/// Tells files apart, also under the same name: device and inode; 0, 0: there is none.
using FileIdentity = std::pair<std::uint64_t, std::uint64_t>;
struct PlaceIdentity {
    FileIdentity file, log;
    friend bool operator==(const PlaceIdentity&, const PlaceIdentity&) = default;
};
/// What stands at PATH and PATH-wal. None: that cannot be told now.
[[nodiscard]] std::optional<PlaceIdentity> identity_of(const std::string& path);
/// Makes what was written to PATH durable. False if the disk says that it is not.
[[nodiscard]] bool sync_file(const std::string& path);
/// Makes renamings beside PATH durable.
void sync_folder(const std::string& path);
/// Why what stands at PATH is not to be used: no file, or one that trust_problem() refuses. Empty: it may be
/// used, or nothing is there.
[[nodiscard]] std::string place_problem(const std::string& path);
/// Whose file or folder it is, and what to do, if somebody could plant readings there: it belongs neither to
/// root nor to this process's user, or others may write to it. Empty: all is well, or nothing is there.
[[nodiscard]] std::string trust_problem(const std::filesystem::path& path);

} // namespace things
