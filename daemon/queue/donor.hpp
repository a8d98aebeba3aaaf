// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/device_log.hpp"
#include "queue/flash/archive_store.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Another queue's file, from which readings are taken in (queue/adoption.hpp): one that was set aside, a
// backup, that of another machine's card. Archive's thread. The file's readings stay as they are. One that
// does not lie beside our own queue is copied first: to read its write-ahead log is to write to it.
namespace things {

/// How far another queue is known: its readings and dead letters below these numbers are here.
struct DonorMark {
    std::map<std::string, std::uint64_t> next; ///< by DvnUUID
    std::uint64_t next_dead = 0;
    [[nodiscard]] std::uint64_t of(const std::string& dvnuuid) const {
        const auto at = next.find(dvnuuid);
        return at == next.end() ? 0 : at->second;
    }
};

/// What is in a file. Beside a `problem` stands what could be found out all the same.
struct DonorReport {
    std::string file;    ///< as it was named
    std::string problem; ///< why its readings cannot be had; empty: it is sound
    bool is_damaged = false;
    std::string rescue;         ///< of a damaged one: what can be carried over; empty: nothing
    std::uint64_t identity = 0; ///< QueueState::known_as; 0: unknown
    std::map<std::string, std::vector<Span>> waiting; ///< numbers of the readings that wait, by DvnUUID
    std::vector<std::uint64_t> letters;               ///< ids of its dead letters
    std::vector<Command> unfinished;
    DonorMark next;                             ///< of all that was ever in it
    std::map<std::uint64_t, DonorMark> adopted; ///< what it took in itself, by identity

    /// Readings of a device beyond the mark, of all of them, and dead letters.
    [[nodiscard]] std::uint64_t fresh(const DonorMark& known, const std::string& dvnuuid) const;
    [[nodiscard]] std::uint64_t fresh(const DonorMark& known) const;
    [[nodiscard]] std::uint64_t fresh_letters(const DonorMark& known) const;
};

/// Some readings of one device, in the order of sending, or its dead letters. Names stand for numbers.
struct DonorPiece {
    struct Item {
        std::string name, unit;
        Reading reading;          ///< its `series` says nothing
        std::optional<Boot> boot; ///< without a clock, but counted by its stamp; none: wall time
    };
    struct Letter {
        std::string dvnuuid, name, unit;
        StoredLetter letter; ///< its `device`, and the reading's series, say nothing
    };
    std::string dvnuuid;    ///< of the items
    std::uint64_t next = 0; ///< the device's readings below have all been given now
    std::vector<Item> items;
    std::vector<Letter> letters;
    std::uint64_t lost = 0; ///< were counted, but cannot be read
};

class Donor {
public:
    /// What to do with a damaged file: leave it, which is quick; find out what can be carried over from it,
    /// which takes minutes for a large one on a worn card; or let that stand for it.
    enum class Damaged : std::uint8_t { leave, offer, rescue };
    /// `own`: the path of our own queue, beside which copies may be made. Never throws: see report(). Takes
    /// as long as copying the file.
    Donor(std::string file, std::string own, Damaged damaged);
    ~Donor();
    Donor(const Donor&) = delete;
    Donor& operator=(const Donor&) = delete;

    [[nodiscard]] const DonorReport& report() const { return report_; }
    /// What waits beyond `known`: readings by device and rising number, then the letters. None: that was all.
    /// Each reading is given once. Throws SqliteError.
    [[nodiscard]] std::optional<DonorPiece> read(const DonorMark& known, std::size_t most);

private:
    void open(Damaged damaged);
    /// Copies the file and its write-ahead log; returns where they are.
    [[nodiscard]] std::string copied();
    void load(const std::string& path);
    void open_damaged(const std::string& path, const std::string& why, Damaged damaged);
    [[nodiscard]] std::optional<DonorPiece> read_device(DeviceId id, std::uint64_t known, std::size_t most);
    /// Brings what waits of these numbers into memory; returns how many cannot be read, and drops them.
    std::uint64_t fetch(DeviceId id, DeviceLog& log, std::uint64_t from, std::size_t most);
    [[nodiscard]] DonorPiece letters(const DonorMark& known);
    void remove_copies();

    std::string own_;
    DonorReport report_;
    DiskCounters unused_;
    std::unique_ptr<ArchiveStore> store_;
    QueueState state_;
    Catalogue catalogue_;
    std::vector<StoredLetter> dead_;
    std::map<DeviceId, DeviceLog> logs_;
    bool are_letters_given_ = false;
};

} // namespace things
