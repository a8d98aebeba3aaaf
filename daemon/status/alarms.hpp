// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/log.hpp"
#include "status/snapshot.hpp"

#include <map>
#include <string>
#include <vector>

namespace things {

/// What a person should act on, by a stable key. Raising an alarm again changes its words, not its beginning;
/// the log hears of its beginning and its end. Loop only.
/// In memory only: after a restart an alarm stands again as soon as its cause is met again, with a later
/// beginning.
class Alarms {
public:
    /// `gateway`: whose they are, for the log's records.
    explicit Alarms(std::string gateway = {}) : gateway_(std::move(gateway)) {}
    /// Who tells the log of an alarm's beginning and end.
    /// `told_already` is for stages that log their alarms themselves, with more to say.
    enum class Log : std::uint8_t { here, told_already };
    /// `advice`: what to do; may be empty.
    /// `urgent` makes /healthz answer 503 and the log's record an error instead of a warning. `now_ms` is
    /// wall time and becomes the beginning. Cheap enough to be called each second with the same words.
    void raise(const std::string& key, const std::string& text, const std::string& advice, bool urgent,
               std::int64_t now_ms, Log log = Log::here);
    /// Nothing happens if none stands there.
    void clear(const std::string& key, Log log = Log::here);
    /// Clears all whose key begins so: of a device or source that is no more.
    /// The log is not told: the cause went away with what was configured.
    void clear_all(const std::string& prefix);
    /// The one that stands under this key; null if none does. Valid until the next change.
    [[nodiscard]] const AlarmView* find(const std::string& key) const;
    /// Urgent ones first, then the oldest.
    /// A copy, in a stable order.
    [[nodiscard]] std::vector<AlarmView> list() const;

private:
    void tell(log::Level level, const std::string& text, const std::string& key) const;

    std::string gateway_;
    std::map<std::string, AlarmView> alarms_;
};

} // namespace things
