// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/rescue.hpp"

#include "queue/bytes.hpp"
#include "queue/command_record.hpp"
#include "queue/flash/archive_store.hpp"
#include "queue/flash/leaves.hpp"
#include "queue/flash/place.hpp"
#include "queue/flash/rows.hpp"
#include "queue/span_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include <cstdio>

namespace things {

namespace {

const char* const segment_columns = "id, crc, data";
const char* const block_columns = "id, device, first, last, boot, oldest, newest, crc, data";

/// What was found, table by table.
struct Found {
    std::optional<QueueState> state;
    std::map<DeviceId, SpanSet> numbers; ///< of readings found
    Catalogue catalogue;
    std::vector<Frame> frames; ///< not written yet
    std::vector<StoredLetter> dead;
    std::vector<Command> commands;
    // Places where rows could not be read: of readings, but for those that the leaves gave, and of others.
    std::uint64_t reading_gaps = 0, letter_gaps = 0, command_gaps = 0;
};

bool fits(const Statement& row, int crc, int data) {
    return static_cast<std::uint32_t>(row.integer(crc)) == checksum(row.blob(data));
}

/// Numbers that stand for nothing known must not be believed: they are given out anew.
bool is_known(const Found& found, const Frame& frame) {
    if (frame.device >= found.catalogue.devices().size())
        return false;
    BlockPosition at;
    while (skip_next(frame.block, at))
        if (at.series >= found.catalogue.all_series().size() ||
            found.catalogue.all_series()[at.series].device != frame.device)
            return false;
    return true;
}

bool take_frame(Found& found, Frame frame) {
    const Span span{frame.block.first, frame.block.last()};
    if (!is_known(found, frame))
        return false;
    SpanSet& numbers = found.numbers[frame.device];
    if (numbers.count(span) > 0)
        return true; // the same readings again: a leftover of a commit
    numbers.add(span);
    found.frames.push_back(std::move(frame));
    return true;
}

bool take_segment(Found& found, const Statement& row) {
    if (!fits(row, 1, 2))
        return false;
    std::optional<std::vector<Frame>> frames = parse_frames(row.blob(2));
    bool is_good = frames.has_value();
    for (Frame& f : frames ? *frames : std::vector<Frame>())
        is_good = take_frame(found, std::move(f)) && is_good;
    return is_good;
}

bool take_block(Found& found, const Statement& row) {
    Frame f;
    f.device = static_cast<DeviceId>(row.integer(1));
    f.block.first = static_cast<std::uint64_t>(row.integer(2));
    f.block.count = static_cast<std::uint32_t>(row.integer(3) - row.integer(2));
    f.block.boot = static_cast<std::uint32_t>(row.integer(4));
    f.block.oldest = row.integer(5);
    f.block.newest = row.integer(6);
    f.block.bytes = std::string(row.blob(8));
    return static_cast<std::uint32_t>(row.integer(7)) == frame_checksum(f.device, f.block) &&
           f.block.count > 0 && is_sound(f.block) && take_frame(found, std::move(f));
}

/// From the rows and their copies, in order: an entry can be taken in only after those before it.
void read_catalogue(Connection& from, Found& found) {
    std::map<std::pair<std::size_t, std::size_t>, std::string> parts;
    for (const char* table : {"catalogue", "spare"})
        (void)for_each_row(from, table, "id, crc, data, device, series", [&parts](const Statement& row) {
            if (!fits(row, 1, 2))
                return false;
            parts[{static_cast<std::size_t>(row.integer(3)), static_cast<std::size_t>(row.integer(4))}] =
                row.blob(2);
            return true;
        });
    for (const auto& [begin, data] : parts)
        if (!found.catalogue.decode_from(data, begin.first, begin.second))
            return;
}

void read_small_tables(Connection& from, Found& found) {
    (void)for_each_row(from, "state", "id, data", [&found](const Statement& row) {
        found.state = decode_state(row.blob(1));
        return found.state.has_value();
    });
    read_catalogue(from, found);
    found.letter_gaps = for_each_row(from, "dead", "id, crc, data", [&found](const Statement& row) {
        std::optional<StoredLetter> letter = decode_letter(row.blob(2));
        if (!letter || !fits(row, 1, 2) || letter->device >= found.catalogue.devices().size() ||
            letter->reading.series >= found.catalogue.all_series().size())
            return false;
        found.dead.push_back(std::move(*letter));
        return true;
    });
    found.command_gaps = for_each_row(from, "command", "id, crc, data", [&found](const Statement& row) {
        std::optional<Command> command = decode_command(row.blob(2));
        if (!command || !fits(row, 1, 2))
            return false;
        found.commands.push_back(std::move(*command));
        return true;
    });
}

/// Readings are many: they are carried over a few at a time.
void write_frames(Found& found, ArchiveStore& store) {
    CommitRequest request;
    for (Frame& f : std::exchange(found.frames, {})) {
        const Span span{f.block.first, f.block.last()};
        request.fold.push_back({f.device, std::move(f.block), {span}});
    }
    (void)store.commit(request);
}

/// Calls `for_each` for both tables of readings with what takes their rows in.
void carry_over(
    Found& found, ArchiveStore& store,
    const std::function<void(const char* table, const char* columns, const RowVisit&)>& for_each) {
    constexpr std::size_t at_once = 256;
    const auto taken_by = [&found, &store](bool (*take)(Found&, const Statement&)) {
        return [&found, &store, take](const Statement& row) {
            const bool is_good = take(found, row);
            if (found.frames.size() >= at_once)
                write_frames(found, store);
            return is_good;
        };
    };
    for_each("segment", segment_columns, taken_by(take_segment));
    for_each("block", block_columns, taken_by(take_block));
    write_frames(found, store);
}

/// Whether the state counts readings that were not found.
bool lacks_readings(const Found& found) {
    for (const DeviceState& d : found.state ? found.state->devices : std::vector<DeviceState>()) {
        const auto numbers = found.numbers.find(d.device);
        for (const Span& span : d.outstanding)
            if (numbers == found.numbers.end() || numbers->second.count(span) < span.size())
                return true;
    }
    return false;
}

/// Without a readable state everything that was found counts as outstanding: better twice than not at all.
QueueState state_of(const Found& found) {
    QueueState state;
    if (found.state) {
        state = *found.state;
    } else {
        std::random_device random;
        state.queue_id = (std::uint64_t{random()} << 32 | random()) | 1;
        for (const auto& [id, numbers] : found.numbers) {
            const std::uint64_t next = numbers.spans().back().last;
            state.devices.push_back({id, next, {numbers.front(), next}, numbers.spans(), {}});
            state.books.read += numbers.size();
        }
        state.books.dead = found.dead.size();
        state.books.read += found.dead.size();
        for (const StoredLetter& l : found.dead)
            state.next_dead = std::max(state.next_dead, l.id + 1);
    }
    std::erase_if(state.devices, [&](const DeviceState& d) {
        const bool is_gone = d.device >= found.catalogue.devices().size();
        for (const Span& span : is_gone ? d.outstanding : std::vector<Span>())
            state.books.drop(DropReason::damaged, span.size());
        return is_gone;
    });
    // Letters that were lost with their rows leave the books as damaged.
    if (state.books.dead > found.dead.size())
        state.books.drop(DropReason::damaged, state.books.dead - found.dead.size());
    state.books.dead = found.dead.size();
    return state;
}

CommitRequest request_of(Found& found) {
    CommitRequest request;
    QueueState state = state_of(found);
    for (DeviceState& d : state.devices) {
        const std::vector<Span> spans = found.numbers[d.device].spans();
        d.blocks = spans.empty() ? Span{} : Span{spans.front().first, spans.back().last};
    }
    request.state = encode(state);
    request.catalogue = found.catalogue.encode_from(0, 0);
    request.dead = std::move(found.dead);
    request.commands = std::move(found.commands);
    return request;
}

/// What the state counted and what of it was found.
std::string told_with_state(const Found& found) {
    std::uint64_t counted = 0, there = 0;
    for (const DeviceState& d : found.state->devices) {
        const auto numbers = found.numbers.find(d.device);
        for (const Span& span : d.outstanding) {
            counted += span.size();
            there += numbers == found.numbers.end() ? 0 : numbers->second.count(span);
        }
    }
    const std::uint64_t letters = std::max<std::uint64_t>(found.state->books.dead, found.dead.size());
    return fmt::format("Rescued {} of {} readings", there, counted) +
           (letters == 0 ? "" : fmt::format(" and {} of {} dead letters", found.dead.size(), letters));
}

std::string told_without_state(const Found& found) {
    std::uint64_t there = 0;
    for (const auto& [id, numbers] : found.numbers)
        there += numbers.size();
    const std::uint64_t gaps = found.reading_gaps + found.letter_gaps;
    return fmt::format("Rescued {} readings{}", there,
                       found.dead.empty() ? "" : fmt::format(" and {} dead letters", found.dead.size())) +
           (gaps == 0 ? ""
                      : fmt::format("; in {} {} nothing could be read, what was there is not known", gaps,
                                    gaps == 1 ? "place" : "places")) +
           "; what had been sent is not known any more and is sent again";
}

std::string told(const Found& found) {
    if (found.catalogue.devices().empty())
        return "Nothing could be rescued: the names of its series are lost";
    return (found.state ? told_with_state(found) : told_without_state(found)) +
           (found.command_gaps == 0 ? "" : "; of the commands' record a part could not be read");
}

/// The first page of a new queue at `path`: see ArchiveStore::layout.
std::string first_page(ArchiveStore& store, const std::string& path) {
    constexpr std::size_t page = 1024;
    constexpr std::size_t size_belongs_to = 92; // where SQLite looks whether to believe the size beside it
    store.settle_log();
    std::string head(page, '\0');
    std::ifstream(path, std::ios::binary).read(head.data(), page);
    head.replace(size_belongs_to, 4, "none");
    return head;
}

struct Damaged {
    std::unique_ptr<Connection> connection; ///< null: it is no queue, or too damaged to be read at all
    std::string head;                       ///< what is read in place of its first page; empty: its own
};

/// Opens the damaged file, if need be with the first page of a new one in place of its own.
Damaged open_damaged(const std::string& damaged, const std::string& vfs, DiskCounters& counters,
                     ArchiveStore& fresh, const std::string& head) {
    for (const std::string& page : {std::string(), head})
        try {
            auto from = std::make_unique<Connection>(damaged, vfs, counters, std::vector<Patch>{{0, page}});
            from->exec("PRAGMA locking_mode = EXCLUSIVE");
            if (ArchiveStore::layout(*from) == fresh.layout())
                return {std::move(from), page};
        } catch (const SqliteError& e) {
            if (e.fault() != SqliteFault::damaged && e.fault() != SqliteFault::other)
                throw;
        }
    return {};
}

void carry_over(Damaged& from, const std::string& path, const std::string& vfs, Found& found,
                ArchiveStore& store) {
    carry_over(found, store, [&](const char* table, const char* columns, const RowVisit& visit) {
        found.reading_gaps += for_each_row(*from.connection, table, columns, visit);
    });
    if (!lacks_readings(found))
        return; // without a state too: what was deleted long ago would come back
    std::map<std::string, std::int64_t> roots;
    for (const char* table : {"segment", "block"})
        roots[table] = from.connection->number(
            fmt::format("SELECT rootpage FROM sqlite_master WHERE name = '{}'", table));
    from.connection.reset(); // moves its log into the file
    carry_over(found, store, [&](const char* table, const char* columns, const RowVisit& visit) {
        for_each_leaf_row(
            {path, vfs, from.head, fmt::format("SELECT {} FROM {}", columns, table), roots[table]}, visit);
    });
}

} // namespace

std::string rescue(const std::string& damaged, const std::string& path, const std::string& vfs,
                   DiskCounters& counters) {
    std::string report;
    // Under another name until it is complete, so that a power cut now finds the damaged one again.
    const std::string unfinished = path + ".rescue";
    {
        Found found;
        ArchiveStore store(unfinished, vfs, counters);
        DiskCounters unused;
        Damaged from = open_damaged(damaged, vfs, unused, store, first_page(store, unfinished));
        if (from.connection)
            read_small_tables(*from.connection, found);
        const bool has_names = !found.catalogue.devices().empty();
        if (has_names)
            carry_over(from, damaged, vfs, found, store);
        report = told(found);
        if (has_names)
            (void)store.commit(request_of(found));
        store.settle_log();
    }
    if (::rename(unfinished.c_str(), path.c_str()) != 0)
        throw SqliteError(14, "cannot rename " + unfinished);
    sync_folder(path);
    return report;
}

} // namespace things
