// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

// The files around the queue's database: the lock that keeps a second gateway out, the ballast that makes
// room on a full disk, and the putting aside of what cannot be used. Archive's thread, and the opening one.
namespace things {

/// Held as long as the object lives. Throws QueueError if another process has it.
class PlaceLock {
public:
    /// PATH.lock is made if missing and never removed. If it cannot be made (read-only disk) there is no lock
    /// and no error.
    explicit PlaceLock(const std::string& path);
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
/// Renames PATH and its write-ahead log to PATH.damaged-N (and -wal); at most three are kept, the oldest
/// goes. Returns the new name. Throws std::system_error if it cannot be renamed.
/// Durable only after sync_folder().
std::string put_aside(const std::string& path);
/// The newest of them; empty: none.
[[nodiscard]] std::string newest_aside(const std::string& path);
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
/// Whether something that is not a regular file of ours stands in its place: directory, link, other owner.
[[nodiscard]] std::string place_problem(const std::string& path);

} // namespace things
