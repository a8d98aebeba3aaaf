// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"
#include "queue/catalogue.hpp"
#include "queue/dead_letter.hpp"
#include "queue/hot/hot_log.hpp"
#include "queue/span_set.hpp"
#include "queue/state.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

// What the hot log adds to the archive's state at start: replays its files in order (rules in hot_log.hpp).
// Used once, by the queue, before anything else.
namespace things {

/// Belongs to the queue's opening and goes with it; the public members are its result, to be moved out of.
class HotReplay {
public:
    struct Device {
        std::uint64_t next = 0;
        Span blocks;
        SpanSet outstanding;
        std::vector<HeldSpan> held;
        std::vector<Block> found; ///< every block met, settled or not, by rising number
    };

    /// Starts from what the archive says; without a state (a new archive) any hot log is believed.
    /// The letters are those of the archive's list.
    HotReplay(const std::optional<QueueState>& state, Catalogue catalogue, std::vector<StoredLetter> dead);
    /// Reads all files of the directory that are newer than the state. Those of another queue are left out,
    /// and so are those of the queue `avoid` (0: none). False: some were of another queue.
    /// Reads each file whole; a file that cannot be opened counts as empty. Once.
    bool run(const std::filesystem::path& directory, std::uint64_t avoid = 0);

    QueueState state; ///< all but `devices`
    Catalogue catalogue;
    std::map<DeviceId, Device> devices;
    std::map<std::uint64_t, StoredLetter> dead;
    std::vector<std::uint64_t> dead_gone; ///< in the archive's list, but gone since
    std::vector<Command> commands;        ///< new ones, as they were stored first
    std::size_t cut_bytes = 0;            ///< unreadable ends of files
    std::string refused; ///< what was not read because strangers may have written it, and the cure

private:
    /// False: it is of another queue. `is_old`: flash knows all that is in it.
    bool file(std::string_view bytes, std::uint64_t avoid, bool is_old);
    void apply(const HotRecord& record);
    /// A state in the log replaces all that was known of outstanding numbers: it is the newest whole truth.
    void apply_state(QueueState fresh);
    /// Numbers below `next` are not outstanding again: such a record only says where their readings are.
    void apply_appended(std::string_view payload);
    void apply_ended(std::string_view payload);
    void apply_dead(std::string_view payload);
    void apply_gone(std::string_view payload);
    void apply_adopted(std::string_view payload);
    /// Readings that a record brings with it; returns how many were new.
    std::uint64_t apply_frames(std::string_view bytes);
    /// Makes new numbers outstanding, or held if their boot has no clock; returns how many were new.
    std::uint64_t appended(DeviceId id, Span span, std::uint32_t boot);
    /// Whether this boot is known and never got a clock.
    [[nodiscard]] bool is_held(std::uint32_t boot) const;

    bool is_bound_ = false; ///< the queue's id is known
};

} // namespace things
