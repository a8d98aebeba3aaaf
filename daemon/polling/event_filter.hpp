// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Thins out what plugins report: of a repeating failure its beginning, its change and its end pass, with a
// count; of each device or point, and of the notes, never more than ten in a minute. What flaps faster is
// shown as it stands once there is room again. Pure: the time is an argument (CLOCK_BOOTTIME). Its source's
// thread only.
namespace things {

/// A subject is a device, a point or the source. What makes a change is the event's code; its text alone is
/// not worth a line.
class EventFilter {
public:
    /// What of `event` is to be passed on now.
    /// A recovery of what did not fail is dropped; the count is that of failures since they began.
    [[nodiscard]] std::vector<SourceEvent> feed(SourceEvent event, std::int64_t now_ms);
    /// What waited for room and still holds. Cheap if nothing waits.
    [[nodiscard]] std::vector<SourceEvent> due(std::int64_t now_ms);
    /// Whether a failure of this device or point is going on.
    [[nodiscard]] bool is_failing(Level level, std::uint32_t index) const;
    /// The failure that is going on: its code and text; null if there is none.
    struct Failure {
        const std::string &code, &text;
    };
    [[nodiscard]] std::optional<Failure> failure(Level level, std::uint32_t index) const;
    /// Whether anything at all is failing.
    [[nodiscard]] bool has_failures() const;

private:
    /// Ten a minute.
    struct Allowance {
        std::deque<std::int64_t> spent;
        bool take(std::int64_t now_ms);
    };
    struct Subject {
        bool failing = false;
        std::string code, text;  ///< of the present failure
        std::uint64_t count = 0; ///< since it began
        std::string shown; ///< code that was passed on last; empty: it works, as far as anybody was told
        Allowance allowance;
    };
    using Key = std::pair<Level, std::uint32_t>;

    /// Passes on how a subject stands now, unless it was told so already or its minute is spent: then it
    /// waits.
    void show(const Key& key, Subject& subject, std::int64_t now_ms, std::vector<SourceEvent>& out);

    std::map<Key, Subject> subjects_; ///< of what failed once; bounded by the devices and points
    std::vector<Key> waiting_;
    Allowance notes_;
    std::uint64_t notes_dropped_ = 0;
};

} // namespace things
