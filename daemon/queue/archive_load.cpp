// SPDX-License-Identifier: Apache-2.0
#include "queue/archive_store.hpp"
#include "queue/bytes.hpp"
#include "queue/command_record.hpp"

#include <fmt/format.h>

#include <utility>

// What is read once: at a start, or for who asks for the commands of before.
namespace things {

namespace {

bool fits(std::int64_t crc, std::string_view data) {
    return static_cast<std::uint32_t>(crc) == checksum(data);
}

} // namespace

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
