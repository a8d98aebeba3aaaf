// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace things {

/// Which device of the queue is which device of the configuration. A device is its DvnUUID: one that was only
/// renamed stays, one that got another DvnUUID leaves the old one behind. Loop only.
class DeviceNames {
public:
    /// None if the configuration has no such device.
    [[nodiscard]] std::optional<DeviceId> id(const std::string& name) const;
    /// Null if there is none. A removed device keeps its name until take_removed(), because its last readings
    /// may still be on their way.
    [[nodiscard]] const std::string* name(DeviceId id) const;
    /// What it is called in the keys of alarms, also after it was removed.
    [[nodiscard]] std::string alarm_name(DeviceId id) const;
    /// The same of one that the configuration no longer has.
    [[nodiscard]] static std::string removed_name(DeviceId id);

    /// Begins a new configuration; set() follows for each of its devices.
    void begin() { ids_.clear(); }
    /// Returns its former name if it was renamed.
    std::optional<std::string> set(DeviceId id, const std::string& name);
    /// Forgets those that were not set since begin(), and returns them.
    [[nodiscard]] std::vector<std::pair<DeviceId, std::string>> take_removed();

private:
    std::unordered_map<std::string, DeviceId> ids_;
    std::unordered_map<DeviceId, std::string> names_; ///< also those whose removal is not over
};

} // namespace things
