// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "queue/block.hpp"
#include "queue/books.hpp"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// The queue's memory-backed tail: files in the runtime directory that survive the death of the process, but
// not a power cut. Loop only: writing to memory does not wait.
//
// Files are named by a rising number of ten digits and ".hot". Each is a row of records:
//   size of payload (4 bytes)  CRC-32 of kind and payload (4)  kind (1)  payload
//   'S' the queue's whole state (queue/state.hpp); the first record of every file
//   'C' catalogue from its beginning, second record of every file; or what was added: device and series
//   number
//       from which on, then the entries (queue/catalogue.hpp)
//   'A' readings appended to a block: device, first, boot, readings before, readings now, oldest, newest,
//   bytes
//   'E' ended: device, 0 accepted or 1 + drop reason, number of spans, each first and size
//   'D' set aside: number, then the dead letter (queue/dead_letter.hpp)
//   'R' dead letters gone: 0 retried or 1 + drop reason, how many, ids, then frames of readings that came
//       back (queue/block.hpp)
//   'P' taken in from another queue: its identity (8 bytes), device + 1 or 0, its number up to which that
//       device's readings are known now, the same of its dead letters, readings dropped for want of a time,
//       estimated ones, letters, each as text, then frames
//   'M' a new command (queue/command_record.hpp); before the 'E' of the readings it came with, so that
//       whoever dies in between has both or neither. What flash knows of a command is newer.
// Example: device 3's numbers 10 ... 14 accepted: 05 00 00 00 | crc | 45 | 03 00 01 0a 05.
//
// Crash rules. Files are replayed in order of their numbers, from the number that the archive's state names
// on. A state record replaces everything known so far but the readings; the other records change it. An 'A'
// of numbers that the state knows only says where these readings are: which of them are settled the state
// says. A file ends at its first bad record: what a write that was cut short leaves behind. A new file is
// begun at each commit, and when one gets large; a file goes as soon as none of its readings is needed,
// because each is on flash or settled. Settlements are written at once, readings within 100 ms.
namespace things {

/// Owned by the queue. A failure closes the file: what is added then goes nowhere, and begin() with a fresh
/// state makes it whole again.
class HotLog {
public:
    enum class Kind : char {
        state = 'S',
        catalogue = 'C',
        appended = 'A',
        ended = 'E',
        dead = 'D',
        dead_gone = 'R',
        command = 'M',
        adopted = 'P',
    };

    /// The directory is made if it is missing.
    explicit HotLog(std::filesystem::path directory);
    ~HotLog();
    HotLog(const HotLog&) = delete;
    HotLog& operator=(const HotLog&) = delete;

    /// Begins file `number` with the given state and catalogue. False: it cannot be written (see problem()).
    bool begin(std::uint64_t number, std::string_view state, std::string_view catalogue);
    /// Buffers a record.
    /// Nothing is written yet; while broken nothing is kept either.
    void add(Kind kind, std::string_view payload);
    /// Writes what is buffered. False: it could not be; the log is then broken until begin() works again.
    /// After this the kernel has it: it survives the process. There is no sync, since the folder is in
    /// memory.
    bool flush();
    /// Finds it broken if the present file was removed by somebody.
    void check();
    /// Removes files below `number`.
    /// The present file is never among them.
    void remove_below(std::uint64_t number);

    [[nodiscard]] bool is_broken() const { return descriptor_ < 0; }
    /// What could not be done, on which file, and why; empty after a begin() that worked.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    [[nodiscard]] std::uint64_t number() const { return number_; }
    [[nodiscard]] std::size_t buffered() const { return buffer_.size(); }
    /// Bytes of the present file, and of all.
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint64_t total_size() const;

    /// Numbers of the files in the directory, rising.
    [[nodiscard]] static std::vector<std::uint64_t> files(const std::filesystem::path& directory);
    [[nodiscard]] static std::filesystem::path path(const std::filesystem::path& directory,
                                                    std::uint64_t number);

private:
    void fail(const std::string& what);
    void close();

    std::filesystem::path directory_;
    int descriptor_ = -1;
    std::uint64_t number_ = 0;
    std::uint64_t size_ = 0;
    std::string buffer_;
    std::string problem_;
    struct Old {
        std::uint64_t number, size;
    };
    std::deque<Old> old_; ///< files before the present one
};

/// One record of a file, while reading.
/// Points into the bytes that were parsed.
struct HotRecord {
    HotLog::Kind kind{};
    std::string_view payload;
};

/// Splits the bytes of a file; stops at the first bad record. `good` gets the number of bytes that are sound.
/// Never throws on any bytes; a payload above 256 MiB is taken for damage.
[[nodiscard]] std::vector<HotRecord> parse_hot(std::string_view bytes, std::size_t& good);

} // namespace things
