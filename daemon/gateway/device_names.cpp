// SPDX-License-Identifier: Apache-2.0
#include "gateway/device_names.hpp"

#include <fmt/format.h>

namespace things {

std::optional<DeviceId> DeviceNames::id(const std::string& name) const {
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* DeviceNames::name(DeviceId id) const {
    const auto found = names_.find(id);
    return found == names_.end() ? nullptr : &found->second;
}

std::string DeviceNames::alarm_name(DeviceId id) const {
    const std::string* known = name(id);
    return known ? *known : removed_name(id);
}

std::string DeviceNames::removed_name(DeviceId id) {
    return fmt::format("removed {}", id);
}

std::optional<std::string> DeviceNames::set(DeviceId id, const std::string& name) {
    ids_[name] = id;
    const auto [known, is_new] = names_.try_emplace(id, name);
    if (is_new || known->second == name)
        return std::nullopt;
    return std::exchange(known->second, name);
}

std::vector<std::pair<DeviceId, std::string>> DeviceNames::take_removed() {
    std::vector<std::pair<DeviceId, std::string>> removed;
    for (auto at = names_.begin(); at != names_.end();) {
        if (id(at->second) == at->first) {
            ++at;
            continue;
        }
        removed.emplace_back(*at);
        at = names_.erase(at);
    }
    return removed;
}

} // namespace things
