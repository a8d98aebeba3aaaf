// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/sqlite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include <sqlite3.h>

namespace things {

namespace {

SqliteFault fault_of(int code) {
    switch (code & 0xff) {
    case SQLITE_FULL:
        return SqliteFault::full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return SqliteFault::damaged;
    case SQLITE_IOERR:
        return SqliteFault::io;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_AUTH:
        return SqliteFault::refused;
    default:
        return SqliteFault::other;
    }
}

[[noreturn]] void fail(sqlite3* db, const char* what) {
    const int code = db == nullptr ? SQLITE_CANTOPEN : sqlite3_extended_errcode(db);
    throw SqliteError(
        code, fmt::format("{}: {} ({})", what, db == nullptr ? "no memory" : sqlite3_errmsg(db), code));
}

} // namespace

SqliteError::SqliteError(int code, const std::string& text)
    : std::runtime_error(text), fault_(fault_of(code)) {}

// A file layer that passes everything on and counts writes and syncs. One for each connection, so that
// counters need no global; its name is its address.
class Connection::CountingVfs {
public:
    CountingVfs(const std::string& base, DiskCounters& counters, std::vector<Patch> patches)
        : base_(sqlite3_vfs_find(base.empty() ? nullptr : base.c_str())), counters_(counters),
          patches_(std::move(patches)) {
        if (base_ == nullptr)
            throw SqliteError(SQLITE_CANTOPEN, fmt::format("no SQLite file layer '{}'", base));
        name_ = fmt::format("things-{}", static_cast<const void*>(this));
        vfs_ = *base_;
        vfs_.pNext = nullptr;
        vfs_.zName = name_.c_str();
        vfs_.pAppData = this;
        vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
        vfs_.xOpen = open;
        vfs_.xDelete = [](sqlite3_vfs* v, const char* n, int sync) {
            return below(v)->xDelete(below(v), n, sync);
        };
        vfs_.xAccess = [](sqlite3_vfs* v, const char* n, int flags, int* out) {
            return below(v)->xAccess(below(v), n, flags, out);
        };
        vfs_.xFullPathname = [](sqlite3_vfs* v, const char* n, int size, char* out) {
            return below(v)->xFullPathname(below(v), n, size, out);
        };
        sqlite3_vfs_register(&vfs_, 0);
    }
    ~CountingVfs() { sqlite3_vfs_unregister(&vfs_); }
    CountingVfs(const CountingVfs&) = delete;
    CountingVfs& operator=(const CountingVfs&) = delete;
    [[nodiscard]] const char* name() const { return name_.c_str(); }

private:
    static constexpr sqlite3_int64 block = 4096;
    struct File {
        sqlite3_file base;
        DiskCounters* counters;
        const std::vector<Patch>* patches; ///< of the database itself; null for the files beside it
        std::set<sqlite3_int64>* dirty;    ///< blocks written since the last sync
        // The real file follows.
    };
    static sqlite3_vfs* below(sqlite3_vfs* v) { return static_cast<CountingVfs*>(v->pAppData)->base_; }
    static sqlite3_file* real(sqlite3_file* f) {
        return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(f) + 1);
    }
    static int open(sqlite3_vfs* v, sqlite3_filename name, sqlite3_file* f, int flags, int* out) {
        auto* file = reinterpret_cast<File*>(f);
        auto* owner = static_cast<CountingVfs*>(v->pAppData);
        file->counters = &owner->counters_;
        file->patches = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? &owner->patches_ : nullptr;
        const int code = below(v)->xOpen(below(v), name, real(f), flags, out);
        file->base.pMethods = real(f)->pMethods == nullptr ? nullptr : &methods;
        file->dirty = file->base.pMethods == nullptr ? nullptr : new std::set<sqlite3_int64>;
        return code;
    }
    static int close(sqlite3_file* f) {
        delete reinterpret_cast<File*>(f)
            ->dirty; // SQLite owns the memory of the file, and runs no destructor
        return real(f)->pMethods->xClose(real(f));
    }
    static int read(sqlite3_file* f, void* out, int size, sqlite3_int64 offset) {
        const int code = real(f)->pMethods->xRead(real(f), out, size, offset);
        const std::vector<Patch>* patches = reinterpret_cast<File*>(f)->patches;
        if (patches == nullptr)
            return code;
        for (const Patch& patch : *patches) {
            const std::int64_t begin = std::max<std::int64_t>(offset, patch.offset);
            const std::int64_t end = std::min<std::int64_t>(
                offset + size, patch.offset + static_cast<std::int64_t>(patch.bytes.size()));
            if (begin < end)
                patch.bytes.copy(static_cast<char*>(out) + (begin - offset),
                                 static_cast<std::size_t>(end - begin),
                                 static_cast<std::size_t>(begin - patch.offset));
        }
        return code;
    }
    static int write(sqlite3_file* f, const void* bytes, int size, sqlite3_int64 offset) {
        auto* file = reinterpret_cast<File*>(f);
        for (sqlite3_int64 b = offset / block; b * block < offset + size; ++b)
            file->counters->bytes += file->dirty->insert(b).second ? block : 0;
        return real(f)->pMethods->xWrite(real(f), bytes, size, offset);
    }
    static int sync(sqlite3_file* f, int flags) {
        ++reinterpret_cast<File*>(f)->counters->syncs;
        reinterpret_cast<File*>(f)->dirty->clear();
        return real(f)->pMethods->xSync(real(f), flags);
    }
    static const sqlite3_io_methods methods;

    sqlite3_vfs* base_;
    DiskCounters& counters_;
    std::vector<Patch> patches_;
    std::string name_;
    sqlite3_vfs vfs_{};
};

// Version 1: no shared memory. The connection is exclusive, the write-ahead log's index is on the heap.
const sqlite3_io_methods Connection::CountingVfs::methods = {
    1,
    close,
    read,
    write,
    [](sqlite3_file* f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); },
    sync,
    [](sqlite3_file* f, sqlite3_int64* out) { return real(f)->pMethods->xFileSize(real(f), out); },
    [](sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); },
    [](sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); },
    [](sqlite3_file* f, int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); },
    [](sqlite3_file* f, int op, void* arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); },
    [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); },
    [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

Connection::Connection(const std::string& path, const std::string& vfs, DiskCounters& counters,
                       std::vector<Patch> patches)
    : vfs_(std::make_unique<CountingVfs>(vfs, counters, std::move(patches))) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    if (sqlite3_open_v2(path.c_str(), &db_, flags, vfs_->name()) != SQLITE_OK) {
        const int code = db_ == nullptr ? SQLITE_CANTOPEN : sqlite3_extended_errcode(db_);
        const std::string why = db_ == nullptr ? "no memory" : sqlite3_errmsg(db_);
        sqlite3_close(db_);
        throw SqliteError(code, fmt::format("open {}: {} ({})", path, why, code));
    }
    sqlite3_extended_result_codes(db_, 1);
}

Connection::~Connection() {
    sqlite3_close(db_);
}

void Connection::exec(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        fail(db_, sql.substr(0, 40).c_str());
}

std::int64_t Connection::number(const std::string& sql) {
    Statement query(*this, sql.c_str());
    return query.step() ? query.integer(0) : 0;
}

std::string Connection::text(const std::string& sql) {
    Statement query(*this, sql.c_str());
    return query.step() ? std::string(query.blob(0)) : std::string();
}

void Connection::checkpoint(bool truncate) {
    const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    if (sqlite3_wal_checkpoint_v2(db_, nullptr, mode, nullptr, nullptr) != SQLITE_OK)
        fail(db_, "checkpoint");
}

void Connection::copy_to(Connection& target) {
    sqlite3_backup* backup = sqlite3_backup_init(target.db_, "main", db_, "main");
    if (backup == nullptr)
        fail(target.db_, "copy");
    (void)sqlite3_backup_step(backup, -1);
    if (sqlite3_backup_finish(backup) != SQLITE_OK)
        fail(target.db_, "copy");
}

Statement::Statement(Connection& connection, const char* sql) : db_(connection.get()) {
    if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) != SQLITE_OK)
        fail(db_, sql);
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

Statement& Statement::bind(int index, std::int64_t value) {
    sqlite3_bind_int64(statement_, index, value);
    return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
    sqlite3_bind_blob64(statement_, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(),
                        SQLITE_STATIC);
    return *this;
}

Statement& Statement::bind_text(int index, std::string_view text) {
    sqlite3_bind_text64(statement_, index, text.data() == nullptr ? "" : text.data(), text.size(),
                        SQLITE_STATIC, SQLITE_UTF8);
    return *this;
}

bool Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement_);
        return false;
    }
    const int extended = sqlite3_extended_errcode(db_);
    const std::string why = sqlite3_errmsg(db_);
    sqlite3_reset(statement_);
    throw SqliteError(extended, fmt::format("{} ({})", why, extended));
}

void Statement::run() {
    while (step()) {
    }
}

void Statement::reset() {
    sqlite3_reset(statement_);
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::blob(int column) const {
    const void* bytes = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes == nullptr
               ? std::string_view()
               : std::string_view(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

Transaction::Transaction(Connection& connection) : connection_(connection) {
    connection_.exec("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
    if (is_open_ && sqlite3_get_autocommit(connection_.get()) == 0)
        sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
    connection_.exec("COMMIT");
    is_open_ = false;
}

} // namespace things
