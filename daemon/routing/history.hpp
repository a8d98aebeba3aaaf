// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"
#include "platform/clock.hpp"
#include "routing/command_check.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// Commands made from what was checked, and what past commands mean for new ones. Pure; any thread.
namespace things {

/// When, where and for whom a downlink was received.
/// `pack` rises over restarts and clock steps.
struct Receipt {
    std::string dvnuuid, device, origin;
    std::uint64_t pack = 0;
    std::int64_t wall_ms = 0, boot_ms = 0;
    std::string boot_id;
};

/// One command a record, refused ones included (ended, with their verdict), and one waiting revert for each
/// point that must fall back. Ids are the store's to give.
/// `checked` points into the device it was checked against, which must still be there.
[[nodiscard]] std::vector<Command> make_commands(const Checked& checked, const Receipt& receipt);

/// The audit line of a body that is no downlink.
[[nodiscard]] Command make_malformed(const Receipt& receipt, const std::string& reason);

/// All of `checked` as repeated: not carried out, ended, and set-points renewed.
[[nodiscard]] std::vector<Command> make_repeated(const Checked& checked, const Receipt& receipt,
                                                 const std::string& verdict);

/// The commands of the newest platform downlink that was more than a repetition, by id; empty if none.
/// Commands that name no point (malformed bodies) do not count.
[[nodiscard]] std::vector<Command> previous_pack(const std::vector<Command>& commands);

/// Whether any of them may have reached the device, or still may: then the same again is a repetition.
[[nodiscard]] bool was_taken_up(const std::vector<Command>& pack);

/// By point: CLOCK_BOOTTIME of its last write, as far as commands that ended tell.
[[nodiscard]] std::map<std::string, std::int64_t> last_writes(const std::vector<Command>& audit,
                                                              const Clock& clock);

/// What is to be done with a command that had not ended when the daemon went down.
struct Resumed {
    Command command;
    std::string cancel; ///< not empty: it ends with this verdict, untouched
};

/// `unfinished` as the store has it, `audit` the last commands of the same device, ended or not.
/// - The rest of an atomic downlink of which one failed is not carried out.
/// - A revert whose command never began, or that a later command has renewed, is dropped.
[[nodiscard]] std::vector<Resumed> resume(const std::vector<Command>& unfinished,
                                          const std::vector<Command>& audit, bool is_atomic);

} // namespace things
