// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/command.hpp"
#include "model/downlink.hpp"
#include "routing/values.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// Whether what a downlink asks may be done: the rules that keep a write from being a surprise. Pure; any
// thread. `max_step` is the one rule that needs the device; it is checked when the command runs.
namespace things {

/// A command further ahead than this is refused.
inline constexpr std::int64_t command_max_delay_ms = std::int64_t{7} * 24 * 3600 * 1000;
inline constexpr const char* no_such_point = "the device has no such point"; ///< a reason
/// A text longer than this is never written.
inline constexpr std::size_t command_max_text = 256;

/// What the check must know beside the device's configuration.
/// Made anew for each check, so that it holds for this moment only.
struct CheckContext {
    bool writes = true;                      ///< the global switch
    std::set<std::string> read_only_sources; ///< whose own switch is off
    bool clock_trusted = true;               ///< whether `now_wall_ms` can be held against absolute times
    std::int64_t now_wall_ms = 0;
    std::map<std::string, std::int64_t> since_write_ms; ///< by point: time since its last write
    std::map<std::string, Value> last;                  ///< by point: last value seen, for its kind
};

/// Whether the write switches let this point be written.
[[nodiscard]] bool is_switched_on(const PointConfig& point, const CheckContext& context);

/// What became of one record.
/// A `reason` is in words for an operator and goes into the audit trail.
struct CheckedRecord {
    std::string point;                   ///< the name as asked, shortened if absurd
    const PointConfig* config = nullptr; ///< of the device passed in; null: no such point
    Value value;                         ///< as it would be written: labels resolved to raw values
    std::int64_t delay_ms = 0;           ///< not before so long after receipt; negative: its time has passed
    std::string reason;                  ///< empty: allowed
    bool expired = false;                ///< refused because its time is over
};

/// All records of one downlink, in the order in which they are to run (by their times, else as sent).
struct Checked {
    std::vector<CheckedRecord> records;
    [[nodiscard]] bool is_any_allowed() const;
};

/// Applies every rule. With CommandMode::atomic one refused record refuses the others too, saying so.
///
/// The order of the rules, of which the first that fails gives the reason: the point exists, is writable, its
/// switches are on, a value is asked for, the unit is the point's, the value fits (see check_value), its time
/// is neither over nor more than 7 days ahead; then min_interval, against the write before it, done or
/// planned.
[[nodiscard]] Checked check(const Downlink& downlink, const DeviceConfig& device,
                            const CheckContext& context);

/// A stored command held against the present configuration, right before it runs. `is_interval_free`: its
/// point's min_interval does not apply.
/// Unit and time are not looked at again. A reload in between may have refused what was allowed at receipt.
[[nodiscard]] CheckedRecord check_again(const Command& command, const DeviceConfig& device,
                                        const CheckContext& context, bool is_interval_free);

/// The rules that depend on nothing but the point: writable, kind, unit aside; finite, min, max, allowed.
/// `value` is resolved in place (label to raw value, 0/1 to bool). Returns the reason, empty if allowed.
/// A number goes to an integer if it is one, below 2^53. Text: at most 256 bytes and no control characters,
/// since a newline would be a second command to a serial device.
[[nodiscard]] std::string check_value(const PointConfig& point, ValueKind kind, Value& value);

/// Whether a step from `before` to `value` is larger than the point allows. Returns the reason or "".
/// A millionth of tolerance, for 32-bit floats. Values that are no numbers cannot be measured and are
/// refused.
[[nodiscard]] std::string check_step(const PointConfig& point, const Value& before, const Value& value);

/// Whether `records` repeat `previous`, the commands of the device's previous downlink: the same points,
/// values and times, received within every point's repeat_window. `elapsed_ms`: time since its receipt.
/// Times count as the same within a second.
[[nodiscard]] bool is_repeat(const std::vector<CheckedRecord>& records, const std::vector<Command>& previous,
                             std::int64_t elapsed_ms, std::int64_t now_wall_ms);

} // namespace things
