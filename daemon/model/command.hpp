// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/backlog.hpp"
#include "model/reading.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A downlink that was matched to a writable point, and its way through the store. Plain values.
namespace things {

///
///   waiting -> begun -> done | failed
///           -> expired
///   refused and repeated are ended from the beginning; nothing leaves an ended state
enum class CommandState : std::uint8_t {
    waiting, ///< stored, not begun
    begun,   ///< the write may have reached the device
    done,    ///< written and read back as asked
    failed,  ///< not written, or read back otherwise
    expired, ///< its time was over before it began
    refused, ///< not allowed; never touched the device
    repeated ///< identical to the previous one within its repeat window: not carried out again
};
/// As the audit trail shows it: "waiting", "done", ...
[[nodiscard]] std::string_view name_of(CommandState state);
/// Whether nothing more happens to a command in this state.
[[nodiscard]] constexpr bool is_ended(CommandState state) {
    return state != CommandState::waiting && state != CommandState::begun;
}

/// Where a command comes from. A revert is the gateway's own: the set-point that nobody renewed.
inline constexpr const char* platform_origin = "platform";
inline constexpr const char* local_origin = "local";
inline constexpr const char* revert_origin = "revert";

/// One value to be written to one point. Also the audit line once it has ended.
/// The times decide by whichever clock can be trusted: boot time within the boot of receipt, wall time across
/// boots.
struct Command {
    std::uint64_t id = 0;   ///< given by the store, rising
    std::uint64_t pack = 0; ///< commands of one downlink share it; they run in the order of their ids
    std::string dvnuuid, device, point;
    std::string origin; ///< one of the above
    Value value;
    std::int64_t received_wall_ms = 0;
    std::int64_t received_boot_ms = 0;
    std::string boot_id;       ///< of the boot in which it was received
    std::int64_t delay_ms = 0; ///< not before so long after receipt
    std::int64_t ttl_ms =
        0; ///< never begun later than this after receipt (or after its own time, if it names one)
    CommandState state = CommandState::waiting;
    std::optional<Value> before, after; ///< value before the write, value read back
    std::string verdict;                ///< in words for an operator
    std::int64_t ended_wall_ms = 0;
};

[[nodiscard]] inline bool is_revert(const Command& command) {
    return command.origin == revert_origin;
}

/// Where commands are kept. Implemented by the queue, so that a command is stored in the transaction that
/// settles the readings it came with. Loop only; handlers are called on the loop, `false` if the flash
/// refused: the command is then kept in memory only, and the store says so in its alarm.
class CommandStore {
public:
    virtual ~CommandStore() = default;
    /// Stores new commands (ids are filled in) durably, together with everything settled so far.
    /// What is settled later in the same turn of the loop goes into the same transaction.
    virtual void store(std::vector<Command> commands,
                       std::function<void(std::vector<Command>, bool)> handler) = 0;
    /// Stores a change of state durably before the handler is called.
    /// A command that is not in the store is added.
    virtual void update(const Command& command, std::function<void(bool)> handler) = 0;
    /// Commands that had not ended when the daemon went down, oldest first.
    [[nodiscard]] virtual std::vector<Command> unfinished() = 0;
    /// The last ended or refused downlink commands of a device, newest first.
    /// Only those of the platform; what the command line or a revert wrote is not among them.
    [[nodiscard]] virtual std::vector<Command> recent(const std::string& dvnuuid, std::size_t most) = 0;
    /// The audit trail, newest first; empty device: all.
    [[nodiscard]] virtual std::vector<Command> audit(const std::string& device, std::size_t most) = 0;
};

} // namespace things
