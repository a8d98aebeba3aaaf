// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/fake_plugin_host.hpp"
#include "support/modbus_units.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace things {

/// Adds a device of eight registers to `config` whose requests look alike, and polls it four times while
/// every fifth answer of `units` comes `delay_ms` late. No register may ever be given out with another's
/// value.
inline void check_late_answers(FakeConfig config, ModbusUnits& units, int delay_ms) {
    config.source.set("retries", delay_ms % 3);
    config.devices.push_back({"meter", FakeSettings().set("gap", 0).set("backoff_max", 0)});
    for (int i = 0; i < 8; ++i) { // far apart: eight requests
        config.points.push_back({0, "v" + std::to_string(i), FakeSettings().set("holding", 100 * i)});
        units.set(1, 'h', static_cast<std::uint16_t>(100 * i), {static_cast<std::uint16_t>(1000 + i)});
    }
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    units.on_request([delay_ms](const UnitRequest& request) {
        return UnitFault{UnitFault::Kind::none,
                         std::chrono::milliseconds(request.number % 5 == 3 ? delay_ms : 0)};
    });
    for (int i = 0; i < 4; ++i)
        static_cast<void>(source.poll_all());
    CHECK(host.emitted.size() > 4);
    for (const FakePluginHost::Emitted& reading : host.emitted)
        REQUIRE(reading.value == FakePluginHost::Value(std::int64_t{1000 + reading.point}));
}

} // namespace things
