// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"
#include "queue/block.hpp"
#include "queue/catalogue.hpp"
#include "queue/dead_letter.hpp"
#include "queue/flash/sqlite.hpp"
#include "queue/state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The database file and its schema: one SQLite connection, used by the archive's thread alone. Exclusive
// locking, write-ahead log, synchronous FULL, so that a transaction that returned survives a power cut.
//
//   state     one row: data = queue/state.hpp (carries its own checksum)
//   catalogue numbers for devices and series: rows in order of id; device and series are the numbers with
//             which the entries in data begin (queue/catalogue.hpp); crc = checksum of data
//   segment   readings of all devices that one commit found unsent: data = frames (queue/block.hpp), crc
//   block     readings of one device, folded together from segments: data = bytes of a block, crc = that of
//             its frame (queue/block.hpp); never overlapping for a device; index on (device, first, last)
//   dead      dead letters: data = queue/dead_letter.hpp, crc
//   command   commands and what became of them: ended_ms (0: not ended), data = queue/command_record.hpp, crc
//   spare     a copy of catalogue, on other pages: without names no reading is worth anything
//   user_version 1; application_id "KPNq". Any other user_version above ours is refused, untouched.
//
// Crash rules. A commit is one transaction: new readings, the state that counts them as outstanding,
// deletions of segments and blocks of which nothing is outstanding. So after a crash the state names exactly
// the readings that are on flash; whatever else lies in segments and blocks is settled and skipped. Numbers
// given out after the last commit are given out again after a power cut. Segments are few and always in
// memory; blocks are read when their readings are to be sent. Example: device 3's numbers 10 ... 19 are
// committed in segment 7; 10 ... 14 are accepted; the next commit writes state {3: next 20, outstanding 15
// ... 19}. 15 ... 19 are accepted: the next one deletes segment 7. Settlements wait for the next commit of
// readings; when none comes they are committed alone, without the readings that came since, after 5/4 of the
// interval, or a second after the first of 5,000. What was accepted within that time a power cut causes to be
// sent again, with the same names, times and values: to rule that out each answer would need a commit.
namespace things {

/// Part of a chunk that goes into a block on flash.
/// A piece may bring several blocks, or share one with its neighbours: blocks are cut anew at 4,096 readings
/// or 8 KiB.
struct FoldPiece {
    DeviceId device = 0;
    Block block;
    std::vector<Span> keep; ///< numbers that are outstanding
};

/// A block on flash, without its readings.
/// `newest` and `boot` as in Block; `size` in bytes of the readings.
struct BlockInfo {
    std::int64_t id = 0;
    DeviceId device = 0;
    Span span;
    std::int64_t newest = 0;
    std::uint32_t boot = 0;
    std::int64_t size = 0;
};

struct ArchiveContent;

/// Everything that one transaction changes.
/// Deletions come first, so that they make room for what is put in.
struct CommitRequest {
    std::string state;   ///< empty: left as it is (rescue)
    std::string segment; ///< frames; empty: none
    std::uint64_t segment_id = 0;
    std::vector<FoldPiece> fold; ///< by device and rising number
    std::vector<std::uint64_t> delete_segments;
    std::vector<std::int64_t> delete_blocks;
    std::vector<std::pair<DeviceId, std::uint64_t>> trims; ///< everything below is settled
    std::string catalogue;                                 ///< additions; empty: none
    std::size_t catalogue_device = 0, catalogue_series = 0;
    std::vector<StoredLetter> dead;
    std::vector<std::uint64_t> delete_dead;
    std::vector<Command> commands;
    std::int64_t audit_before_ms = 0; ///< ended commands before this go; 0: none
    /// Of ended commands the newest that fit into so many bytes are kept, at most most_audit_lines.
    std::int64_t audit_bytes = 0;
    std::int64_t size_limit = 0; ///< when to list the oldest blocks
    bool list_oldest = false;    ///< list them anyhow (age limit)
};

/// Unless `ok`, nothing was written. `problem` may stand beside `ok`: the disk was full and the ballast
/// helped.
struct CommitResult {
    bool ok = false;
    bool was_gone = false;  ///< the file had been removed or replaced; all it held is in a new one
    bool was_reset = false; ///< the file was replaced: write everything in memory again
    std::string replaced;   ///< why, if it was not for damage: another queue came into its place,
    std::string refused;    ///< or something that is not to be used
    std::string problem;
    std::shared_ptr<ArchiveContent>
        late;                      ///< opened for the first time only now: take this in, then write again
    std::vector<BlockInfo> oldest; ///< oldest blocks, if the file fills up
    std::int64_t used = 0;         ///< bytes of the database without free pages
    std::int64_t file_size = 0;    ///< database and write-ahead log
};

/// What is read at start.
/// Without a state it is a new queue, or one whose state could not be read.
struct ArchiveContent {
    std::optional<QueueState> state;
    Catalogue catalogue;
    std::vector<std::pair<std::uint64_t, std::vector<Frame>>> segments;
    std::vector<StoredLetter> dead;
    std::vector<Command> commands;  ///< unfinished ones and the last 1,000
    std::vector<std::string> notes; ///< small damage met on the way
    std::string damage;             ///< what became of a damaged file; empty: it was sound
    std::string refused; ///< what stood in the queue's place and is not to be used; empty: nothing did
};

/// What the constructor says of a sound database that is no queue.
inline constexpr const char* of_another_program = "it is the database of another program";
/// Whoever speaks for the platform writes the audit: it has a number beside its age.
inline constexpr std::int64_t most_audit_lines = 10'000;

/// All but the constructor throw SqliteError and nothing else; the object is of no use after that and should
/// be made anew.
class ArchiveStore {
public:
    /// Opens or creates the file. Throws SqliteError; QueueError if it is of a newer version.
    ArchiveStore(const std::string& path, const std::string& vfs, DiskCounters& counters,
                 int checkpoint_pages = 400);
    ~ArchiveStore();

    /// Reads everything but the blocks: memory for the segments (a few hundred KiB) and the outstanding
    /// spans. A damaged row in any table but `command` throws as damaged, so that the whole is rescued.
    [[nodiscard]] ArchiveContent load();
    /// Throws SqliteError; nothing is changed then.
    /// One or two syncs of the card; a checkpoint now and then more.
    [[nodiscard]] CommitResult commit(const CommitRequest& request);
    /// Blocks of a device from number `from` on that hold at least `count` readings together. Damaged ones
    /// are left out.
    [[nodiscard]] std::vector<Block> read_blocks(DeviceId device, std::uint64_t from, std::uint64_t count);
    /// Newest first, walks the whole table for a device that has few.
    [[nodiscard]] std::vector<Command> audit(const std::string& device, std::size_t most);
    /// The tables and where they begin. They are made in one go and never change, and fit on the first page,
    /// so that this page of a new queue stands in for that of a damaged one (queue/flash/rescue.hpp).
    [[nodiscard]] static std::string layout(Connection& connection);
    [[nodiscard]] std::string layout() { return layout(connection_); }
    /// Moves the write-ahead log into the database and empties it.
    void settle_log() { connection_.checkpoint(true); }
    /// Moves its log into the database and begins another one. Throws SqliteError.
    void renew_log();
    /// Writes all that it holds to a new file at `path`: its own may have no name any more. Throws
    /// SqliteError.
    void copy_to(const std::string& path, const std::string& vfs, DiskCounters& counters);

    /// Empties it, all that it held being in a file of its own by now: where it comes to light again, behind
    /// a file system that was mounted over it, nothing must be sent a second time. Throws SqliteError.
    void hand_over();

private:
    struct Statements;
    void create_schema();
    void write_fold(const std::vector<FoldPiece>& fold);
    void write_block(DeviceId device, const Block& block);
    void delete_all(const CommitRequest& request);
    void put_all(const CommitRequest& request);
    /// Lets the oldest ended commands go.
    void prune_audit(std::int64_t most_bytes);
    /// Sizes after the commit, and the oldest 256 blocks when the file is half full or they are asked for.
    void measure(const CommitRequest& request, CommitResult& result);

    std::string path_;
    Connection connection_;
    std::unique_ptr<Statements> statements_;
    std::int64_t page_size_ = 0;
    std::int64_t audit_bytes_ = -1; ///< at least what the commands take; -1: not counted yet
};

} // namespace things
