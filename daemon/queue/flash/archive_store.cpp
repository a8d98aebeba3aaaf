// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/archive_store.hpp"

#include "queue/bytes.hpp"
#include "queue/command_record.hpp"
#include "queue/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t schema_version = 1;
constexpr std::int64_t application_id = 0x4b504e71; // "KPNq"
constexpr std::uint32_t block_readings = 4096;
constexpr std::size_t block_bytes = 8192;
constexpr int oldest_listed = 256;

// All of it must fit on the first page: see layout().
const char* const schema = R"(
CREATE TABLE state(id INTEGER PRIMARY KEY, data BLOB);
CREATE TABLE catalogue(id INTEGER PRIMARY KEY, device INTEGER, series INTEGER, crc INTEGER, data BLOB);
CREATE TABLE segment(id INTEGER PRIMARY KEY, crc INTEGER, data BLOB);
CREATE TABLE block(id INTEGER PRIMARY KEY, device INTEGER, first INTEGER, last INTEGER, boot INTEGER,
                   oldest INTEGER, newest INTEGER, crc INTEGER, data BLOB);
CREATE INDEX block_by_device ON block(device, first, last);
CREATE TABLE dead(id INTEGER PRIMARY KEY, crc INTEGER, data BLOB);
CREATE TABLE command(id INTEGER PRIMARY KEY, ended_ms INTEGER, crc INTEGER, data BLOB);
CREATE TABLE spare(id INTEGER PRIMARY KEY,device,series,crc,data);
)";

constexpr std::int64_t row_overhead = 32; ///< of a command in its page: id, times, checksum, header

std::int64_t signed_of(std::uint64_t v) {
    return static_cast<std::int64_t>(v);
}

bool fits(std::int64_t crc, std::string_view data) {
    return static_cast<std::uint32_t>(crc) == checksum(data);
}

} // namespace

struct ArchiveStore::Statements {
    explicit Statements(Connection& c)
        : put_state(c, "REPLACE INTO state VALUES(1, ?)"),
          put_segment(c, "REPLACE INTO segment VALUES(?, ?, ?)"),
          delete_segment(c, "DELETE FROM segment WHERE id = ?"),
          put_block(c, "INSERT INTO block VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?)"),
          delete_block(c, "DELETE FROM block WHERE id = ?"),
          trim(c, "DELETE FROM block WHERE device = ? AND first < ? AND last <= ?"),
          overlap(c, "DELETE FROM block WHERE device = ? AND first >= ? AND first < ?"),
          put_catalogue(c, "INSERT INTO catalogue VALUES(NULL, ?, ?, ?, ?)"),
          put_spare(c, "INSERT INTO spare VALUES(NULL, ?, ?, ?, ?)"),
          put_dead(c, "REPLACE INTO dead VALUES(?, ?, ?)"), delete_dead(c, "DELETE FROM dead WHERE id = ?"),
          put_command(c, "REPLACE INTO command VALUES(?, ?, ?, ?)"),
          prune_commands(c, "DELETE FROM command WHERE ended_ms > 0 AND ended_ms < ?"),
          read_from(
              c,
              "SELECT device, first, last, boot, oldest, newest, crc, data FROM block WHERE device = ? AND "
              "first >= ifnull((SELECT max(first) FROM block WHERE device = ? AND first <= ?), 0) "
              "ORDER BY first"),
          read_one(c, "SELECT device, first, last, boot, oldest, newest, crc, data FROM block WHERE id = ?"),
          oldest(
              c,
              "SELECT id, device, first, last, newest, boot, length(data) FROM block ORDER BY id LIMIT ?") {}

    Statement put_state, put_segment, delete_segment, put_block, delete_block, trim, overlap, put_catalogue,
        put_spare, put_dead, delete_dead, put_command, prune_commands, read_from, read_one, oldest;
};

ArchiveStore::ArchiveStore(const std::string& path, const std::string& vfs, DiskCounters& counters,
                           int checkpoint_pages)
    : path_(path), connection_(path, vfs, counters) {
    connection_.exec("PRAGMA locking_mode = EXCLUSIVE");
    const std::int64_t version = connection_.number("PRAGMA user_version");
    const bool is_ours = connection_.number("PRAGMA application_id") == application_id;
    const bool is_empty = connection_.number("SELECT count(*) FROM sqlite_master") == 0;
    if (!is_ours && !is_empty)
        throw SqliteError(26, of_another_program);
    if (version > schema_version)
        throw QueueError(
            fmt::format("queue {} is of version {}, this program knows up to {}: use the newer program", path,
                        version, schema_version));
    if (is_empty) {
        connection_.exec("PRAGMA page_size = 1024");
        connection_.exec("PRAGMA auto_vacuum = NONE");
    }
    if (connection_.text("PRAGMA journal_mode = WAL") != "wal")
        throw SqliteError(14, fmt::format("{}: cannot use a write-ahead log", path));
    connection_.exec("PRAGMA synchronous = FULL");
    connection_.exec(fmt::format("PRAGMA wal_autocheckpoint = {}", checkpoint_pages));
    connection_.exec(fmt::format("PRAGMA journal_size_limit = {}", checkpoint_pages * 10240));
    connection_.exec("PRAGMA cache_size = -512");
    connection_.exec("PRAGMA temp_store = MEMORY");
    // Debian's SQLite overwrites what is deleted with zeros: half of the pages of a commit, for readings that
    // go to a platform anyway.
    connection_.exec("PRAGMA secure_delete = OFF");
    if (is_empty)
        create_schema();
    page_size_ = connection_.number("PRAGMA page_size");
    statements_ = std::make_unique<Statements>(connection_);
}

ArchiveStore::~ArchiveStore() = default;

void ArchiveStore::create_schema() {
    Transaction transaction(connection_);
    connection_.exec(schema);
    connection_.exec(fmt::format("PRAGMA application_id = {}", application_id));
    connection_.exec(fmt::format("PRAGMA user_version = {}", schema_version));
    transaction.commit();
}

std::string ArchiveStore::layout(Connection& connection) {
    return connection.text("SELECT group_concat(name || rootpage || sql) FROM sqlite_master");
}

void ArchiveStore::renew_log() {
    for (const char* mode : {"delete", "wal"})
        if (connection_.text(fmt::format("PRAGMA journal_mode = {}", mode)) != mode)
            throw SqliteError(14, fmt::format("{}: cannot begin another write-ahead log", path_));
}

void ArchiveStore::copy_to(const std::string& path, const std::string& vfs, DiskCounters& counters) {
    Connection target(path, vfs, counters);
    target.exec("PRAGMA locking_mode = EXCLUSIVE");
    connection_.copy_to(target);
}

void ArchiveStore::hand_over() {
    Transaction transaction(connection_);
    for (const char* table : {"state", "catalogue", "spare", "segment", "block", "dead", "command"})
        connection_.exec(fmt::format("DELETE FROM {}", table));
    transaction.commit();
}

CommitResult ArchiveStore::commit(const CommitRequest& request) {
    CommitResult result;
    Transaction transaction(connection_);
    delete_all(request);
    put_all(request);
    if (!request.commands.empty())
        prune_audit(request.audit_bytes);
    write_fold(request.fold);
    if (!request.state.empty())
        statements_->put_state.bind_blob(1, request.state).run();
    transaction.commit();
    measure(request, result);
    result.ok = true;
    return result;
}

void ArchiveStore::delete_all(const CommitRequest& request) {
    Statements& s = *statements_;
    for (const std::uint64_t id : request.delete_segments)
        s.delete_segment.bind(1, signed_of(id)).run();
    for (const std::int64_t id : request.delete_blocks)
        s.delete_block.bind(1, id).run();
    for (const auto& [device, base] : request.trims)
        s.trim.bind(1, device).bind(2, signed_of(base)).bind(3, signed_of(base)).run();
    for (const std::uint64_t id : request.delete_dead)
        s.delete_dead.bind(1, signed_of(id)).run();
    if (request.audit_before_ms > 0)
        s.prune_commands.bind(1, request.audit_before_ms).run();
}

void ArchiveStore::put_all(const CommitRequest& request) {
    Statements& s = *statements_;
    for (Statement* put : {&s.put_catalogue, &s.put_spare})
        if (!request.catalogue.empty())
            put->bind(1, static_cast<std::int64_t>(request.catalogue_device))
                .bind(2, static_cast<std::int64_t>(request.catalogue_series))
                .bind(3, checksum(request.catalogue))
                .bind_blob(4, request.catalogue)
                .run();
    if (!request.segment.empty())
        s.put_segment.bind(1, signed_of(request.segment_id))
            .bind(2, checksum(request.segment))
            .bind_blob(3, request.segment)
            .run();
    for (const StoredLetter& letter : request.dead) {
        const std::string data = encode(letter);
        s.put_dead.bind(1, signed_of(letter.id)).bind(2, checksum(data)).bind_blob(3, data).run();
    }
    for (const Command& command : request.commands) {
        const std::string data = encode(command);
        s.put_command.bind(1, signed_of(command.id))
            .bind(2, is_ended(command.state) ? std::max<std::int64_t>(1, command.ended_wall_ms) : 0)
            .bind(3, checksum(data))
            .bind_blob(4, data)
            .run();
        if (audit_bytes_ >= 0)
            audit_bytes_ += static_cast<std::int64_t>(data.size()) + row_overhead;
    }
}

// Numbers of commands rise, so that the bound by number costs a look at the end of the table. Their bytes are
// counted at the first call and whenever the bound seems to be reached: a command that is stored again is
// counted twice until then.
void ArchiveStore::prune_audit(std::int64_t most_bytes) {
    const std::int64_t newest = connection_.number("SELECT ifnull(max(id), 0) FROM command");
    Statement(connection_, "DELETE FROM command WHERE id <= ? AND ended_ms > 0")
        .bind(1, newest - most_audit_lines)
        .run();
    if (audit_bytes_ >= 0 && audit_bytes_ <= most_bytes)
        return;
    audit_bytes_ = 0;
    std::int64_t last = 0; // the newest that goes
    {
        Statement rows(connection_,
                       "SELECT id, length(data) FROM command WHERE ended_ms > 0 ORDER BY id DESC");
        while (last == 0 && rows.step()) {
            const std::int64_t size = rows.integer(1) + row_overhead;
            // Below the bound, so that it is not reached again with the next command.
            if (audit_bytes_ + size > most_bytes - most_bytes / 8)
                last = rows.integer(0);
            else
                audit_bytes_ += size;
        }
    }
    if (last != 0)
        Statement(connection_, "DELETE FROM command WHERE id <= ? AND ended_ms > 0").bind(1, last).run();
}

void ArchiveStore::write_block(DeviceId device, const Block& block) {
    Statements& s = *statements_;
    // A commit whose end was not seen may have left the same readings behind.
    s.overlap.bind(1, device).bind(2, signed_of(block.first)).bind(3, signed_of(block.last())).run();
    s.put_block.bind(1, device)
        .bind(2, signed_of(block.first))
        .bind(3, signed_of(block.last()))
        .bind(4, block.boot)
        .bind(5, block.oldest)
        .bind(6, block.newest)
        .bind(7, frame_checksum(device, block))
        .bind_blob(8, block.bytes)
        .run();
}

void ArchiveStore::write_fold(const std::vector<FoldPiece>& fold) {
    Block out;
    BlockPosition end;
    DeviceId device = 0;
    const auto finish = [&] {
        if (out.count > 0)
            write_block(device, out);
        out = {};
        end = {};
    };
    Reading reading;
    for (const FoldPiece& piece : fold) {
        BlockPosition at;
        std::size_t k = 0;
        for (std::uint64_t n = piece.block.first; read_next(piece.block, at, reading); ++n) {
            while (k < piece.keep.size() && piece.keep[k].last <= n)
                ++k;
            if (k == piece.keep.size() || n < piece.keep[k].first)
                continue;
            if (out.count >= block_readings || out.bytes.size() >= block_bytes || device != piece.device ||
                out.boot != piece.block.boot || out.last() != n)
                finish();
            if (out.count == 0) {
                device = piece.device;
                out.first = n;
                out.boot = piece.block.boot;
            }
            append(out, end, reading);
        }
    }
    finish();
}

namespace {

/// None if the row is damaged.
std::optional<Block> block_of(const Statement& row) {
    Block b;
    b.first = static_cast<std::uint64_t>(row.integer(1));
    b.count = static_cast<std::uint32_t>(row.integer(2) - row.integer(1));
    b.boot = static_cast<std::uint32_t>(row.integer(3));
    b.oldest = row.integer(4);
    b.newest = row.integer(5);
    b.bytes = std::string(row.blob(7));
    const auto crc = static_cast<std::uint32_t>(row.integer(6));
    if (crc != frame_checksum(static_cast<DeviceId>(row.integer(0)), b) || b.count == 0 || !is_sound(b))
        return std::nullopt;
    return b;
}

} // namespace

std::vector<Block> ArchiveStore::read_blocks(DeviceId device, std::uint64_t from, std::uint64_t count) {
    std::vector<Block> blocks;
    Statement& rows = statements_->read_from;
    rows.bind(1, device).bind(2, device).bind(3, signed_of(from));
    std::uint64_t have = 0;
    while (have < count && rows.step()) {
        if (static_cast<std::uint64_t>(rows.integer(2)) <= from)
            continue;
        std::optional<Block> b = block_of(rows);
        if (!b)
            continue;
        have += b->last() - std::max(from, b->first);
        blocks.push_back(std::move(*b));
    }
    rows.reset();
    return blocks;
}

void ArchiveStore::measure(const CommitRequest& request, CommitResult& result) {
    const std::int64_t pages = connection_.number("PRAGMA page_count");
    const std::int64_t unused = connection_.number("PRAGMA freelist_count");
    result.used = (pages - unused) * page_size_;
    std::error_code error;
    const auto log = std::filesystem::file_size(path_ + "-wal", error);
    result.file_size = pages * page_size_ + (error ? 0 : static_cast<std::int64_t>(log));
    if (!request.list_oldest && result.used < request.size_limit / 2)
        return;
    Statement& rows = statements_->oldest;
    rows.bind(1, oldest_listed);
    while (rows.step())
        result.oldest.push_back(
            {rows.integer(0),
             static_cast<DeviceId>(rows.integer(1)),
             {static_cast<std::uint64_t>(rows.integer(2)), static_cast<std::uint64_t>(rows.integer(3))},
             rows.integer(4),
             static_cast<std::uint32_t>(rows.integer(5)),
             rows.integer(6)});
}

ArchiveContent ArchiveStore::load() {
    ArchiveContent content;
    Statement state(connection_, "SELECT data FROM state WHERE id = 1");
    if (state.step()) {
        content.state = decode_state(state.blob(0));
        if (!content.state)
            throw SqliteError(11, "the state row is damaged");
    }
    Statement catalogue(connection_, "SELECT crc, data, device, series FROM catalogue ORDER BY id");
    while (catalogue.step())
        if (!fits(catalogue.integer(0), catalogue.blob(1)) ||
            !content.catalogue.decode_from(catalogue.blob(1), static_cast<std::size_t>(catalogue.integer(2)),
                                           static_cast<std::size_t>(catalogue.integer(3))))
            throw SqliteError(11, "the catalogue is damaged");
    Statement segments(connection_, "SELECT crc, data, id FROM segment ORDER BY id");
    while (segments.step()) {
        std::optional<std::vector<Frame>> frames;
        if (fits(segments.integer(0), segments.blob(1)))
            frames = parse_frames(segments.blob(1));
        if (!frames)
            throw SqliteError(11, fmt::format("segment {} is damaged", segments.integer(2)));
        content.segments.emplace_back(static_cast<std::uint64_t>(segments.integer(2)), std::move(*frames));
    }
    Statement dead(connection_, "SELECT crc, data FROM dead ORDER BY id");
    while (dead.step()) {
        std::optional<StoredLetter> letter;
        if (fits(dead.integer(0), dead.blob(1)))
            letter = decode_letter(dead.blob(1));
        if (!letter)
            throw SqliteError(11, "a dead letter is damaged");
        content.dead.push_back(std::move(*letter));
    }
    Statement commands(connection_, "SELECT crc, data FROM command WHERE ended_ms = 0 OR id > (SELECT "
                                    "ifnull(max(id), 0) - 1000 FROM command) ORDER BY id");
    while (commands.step())
        if (std::optional<Command> c = decode_command(commands.blob(1));
            c && fits(commands.integer(0), commands.blob(1)))
            content.commands.push_back(std::move(*c));
        else
            content.notes.emplace_back("a command of the audit trail is damaged and left out");
    return content;
}

std::vector<Command> ArchiveStore::audit(const std::string& device, std::size_t most) {
    std::vector<Command> out;
    Statement rows(connection_, "SELECT crc, data FROM command ORDER BY id DESC");
    while (out.size() < most && rows.step())
        if (std::optional<Command> c = decode_command(rows.blob(1));
            c && fits(rows.integer(0), rows.blob(1)) &&
            (device.empty() || c->device == device || c->dvnuuid == device))
            out.push_back(std::move(*c));
    return out;
}

} // namespace things
