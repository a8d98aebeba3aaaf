// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/sources.hpp"
#include "routing/bus.hpp"
#include "status/live_values.hpp"

namespace things {

/// What routing may ask of the sources. Loop only.
class SourceBus final : public Bus {
public:
    /// Both outlive this object; `sources` may be made later, but before the first call.
    SourceBus(Sources& sources, const LiveValues& live) : sources_(sources), live_(live) {}

    void write(const std::string& device, const std::string& point, Value value,
               std::int64_t not_after_boot_ms, std::function<void(BusResult)> handler) override;
    void read(const std::string& device, const std::string& point,
              std::function<void(BusResult)> handler) override;
    [[nodiscard]] std::optional<Value> last(const std::string& device,
                                            const std::string& point) const override;

private:
    Sources& sources_;
    const LiveValues& live_;
};

} // namespace things
