// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

// SQLite in our terms: a connection that counts what it writes, statements, errors by what to do about them.
// The only files that see sqlite3.h. A connection and its statements belong to one thread.
namespace things {

/// What an error asks for.
enum class SqliteFault : std::uint8_t {
    full,    ///< make room
    damaged, ///< set the file aside
    io,      ///< close, open again, write again what is not known to be durable
    refused, ///< read-only, no permission, locked, cannot be opened: try again later
    other,   ///< while opening a sign of damage, else of a bug
};

/// `code` is SQLite's extended result code; the text names it.
class SqliteError : public std::runtime_error {
public:
    SqliteError(int code, const std::string& text);
    [[nodiscard]] SqliteFault fault() const { return fault_; }

private:
    SqliteFault fault_;
};

/// What a device has to write: whole blocks of 4 KiB, each once between two syncs of its file, without what
/// the file system adds for itself. Any thread may read it.
struct DiskCounters {
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> syncs{0};
};

/// Bytes that are read in place of those of a database's file: for one whose own are damaged.
struct Patch {
    std::int64_t offset = 0;
    std::string bytes;
};

/// Neither copied nor moved; lives longer than its statements.
class Connection {
public:
    /// Opens or creates a database through a counting layer over the file layer `vfs` (empty: the system's).
    /// Throws SqliteError.
    Connection(const std::string& path, const std::string& vfs, DiskCounters& counters,
               std::vector<Patch> patches = {});
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Runs statements without results. Throws SqliteError.
    /// Several may stand in one text, separated by `;`.
    void exec(const std::string& sql);
    /// The first column of the first row, or 0. Throws SqliteError.
    [[nodiscard]] std::int64_t number(const std::string& sql);
    /// As number(): the first column of the first row, or empty.
    [[nodiscard]] std::string text(const std::string& sql);
    [[nodiscard]] sqlite3* get() const { return db_; }
    /// Moves as much of the write-ahead log into the database as it can; `truncate` empties the log too.
    void checkpoint(bool truncate);
    /// Makes `target`, a new database, its double, page by page. Throws SqliteError.
    void copy_to(Connection& target);

private:
    class CountingVfs;
    std::unique_ptr<CountingVfs> vfs_;
    sqlite3* db_ = nullptr;
};

/// Prepared once, used often: bind all, then step or run. Indexes of values begin at 1, those of columns at
/// 0.
class Statement {
public:
    Statement(Connection& connection, const char* sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(int index, std::int64_t value);
    /// The bytes must live until the next step has ended.
    Statement& bind_blob(int index, std::string_view bytes);
    Statement& bind_text(int index, std::string_view text);
    /// True: there is a row. Throws SqliteError. After the last row the statement can be bound again.
    bool step();
    /// Runs to the end, ready for the next use.
    void run();
    /// Needed only after rows that were not read to the end.
    void reset();

    [[nodiscard]] std::int64_t integer(int column) const;
    /// Valid until the next step.
    [[nodiscard]] std::string_view blob(int column) const;

private:
    sqlite3* db_;
    sqlite3_stmt* statement_ = nullptr;
};

/// BEGIN ... COMMIT; rolls back if it goes without commit().
class Transaction {
public:
    /// BEGIN IMMEDIATE: the lock is taken here, so that nothing fails half-way for want of it.
    explicit Transaction(Connection& connection);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    /// Throws SqliteError; then nothing is changed and the destructor rolls back.
    void commit();

private:
    Connection& connection_;
    bool is_open_ = true;
};

} // namespace things
