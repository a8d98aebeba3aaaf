// SPDX-License-Identifier: Apache-2.0
#include "gateway/source_bus.hpp"

#include <utility>

namespace things {

void SourceBus::write(const std::string& device, const std::string& point, Value value,
                      std::int64_t not_after_boot_ms, std::function<void(BusResult)> handler) {
    sources_.write(device, point, std::move(value), not_after_boot_ms, std::move(handler));
}

void SourceBus::read(const std::string& device, const std::string& point,
                     std::function<void(BusResult)> handler) {
    sources_.read(device, point, std::move(handler));
}

std::optional<Value> SourceBus::last(const std::string& device, const std::string& point) const {
    const std::optional<SeriesId> series = sources_.series(device, point);
    const LiveValues::Last* known = series ? live_.find(*series) : nullptr;
    return known ? known->value : std::nullopt;
}

} // namespace things
