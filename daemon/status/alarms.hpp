// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "status/snapshot.hpp"

#include <map>
#include <string>
#include <vector>

namespace things {

/// What a person should act on, by a stable key. Raising an alarm again changes its words, not its beginning;
/// the log hears of its beginning and its end. Loop only.
class Alarms {
public:
    /// Who tells the log of an alarm's beginning and end.
    enum class Log : std::uint8_t { here, told_already };
    /// `advice`: what to do; may be empty.
    void raise(const std::string& key, const std::string& text, const std::string& advice, bool urgent,
               std::int64_t now_ms, Log log = Log::here);
    void clear(const std::string& key, Log log = Log::here);
    /// Clears all whose key begins so: of a device or source that is no more.
    void clear_all(const std::string& prefix);
    /// The one that stands under this key; null if none does. Valid until the next change.
    [[nodiscard]] const AlarmView* find(const std::string& key) const;
    /// Urgent ones first, then the oldest.
    [[nodiscard]] std::vector<AlarmView> list() const;

private:
    std::map<std::string, AlarmView> alarms_;
};

} // namespace things
