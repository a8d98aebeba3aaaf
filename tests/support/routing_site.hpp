// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "routing/router.hpp"
#include "support/fake_bus.hpp"
#include "support/fake_time.hpp"
#include "support/memory_commands.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace things {

inline const char* const boiler_uuid = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40";
inline const char* const boiler_base = "urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:";

inline PointConfig make_point(std::string name, std::string unit = {}) {
    PointConfig point;
    point.name = std::move(name);
    point.unit = std::move(unit);
    point.source = "plc";
    return point;
}

inline PointConfig make_writable(std::string name, std::string unit = {}) {
    auto point = make_point(std::move(name), std::move(unit));
    point.writable.emplace();
    return point;
}

/// boiler: temperature (read only), pump (coil), setpoint 5..30 Cel, mode (off, on), note (text).
inline Config make_site() {
    Config config;
    SourceConfig source;
    source.name = "plc";
    config.sources.push_back(source);
    DeviceConfig boiler;
    boiler.name = "boiler";
    boiler.dvnuuid = boiler_uuid;
    boiler.points.push_back(make_point("temperature", "Cel"));
    boiler.points.push_back(make_writable("pump"));
    boiler.points.back().settings.push_back({"coil", std::int64_t{3}, {}, {}, false});
    boiler.points.push_back(make_writable("setpoint", "Cel"));
    boiler.points.back().writable->min = 5;
    boiler.points.back().writable->max = 30;
    boiler.points.push_back(make_writable("mode"));
    boiler.points.back().labels = {{0, "off"}, {1, "on"}};
    boiler.points.push_back(make_writable("note"));
    boiler.points.back().settings.push_back({"type", std::string("string"), {}, {}, false});
    config.devices.push_back(std::move(boiler));
    return config;
}

/// A router with everything around it that a test can look at. The clock, the store and the bus outlive the
/// router, as flash and the plant outlive the daemon.
class Site {
public:
    FakeTime time;
    MemoryCommands store;
    FakeBus bus;
    Config config = make_site();
    std::vector<Outcome> outcomes;
    std::vector<std::string> fetches;
    std::unique_ptr<Router> router;

    Site() {
        bus.held = {{"boiler/pump", false},
                    {"boiler/setpoint", 20.0},
                    {"boiler/mode", std::int64_t{0}},
                    {"boiler/note", std::string("hello")},
                    {"boiler/temperature", 61.5}};
        bus.now = [this] {
            return Stamp{time.wall, Stamp::Clock::wall};
        };
    }

    PointConfig& point(const std::string& name) {
        for (auto& p : config.devices.front().points)
            if (p.name == name)
                return p;
        throw std::logic_error("no point " + name);
    }

    void start() {
        router = std::make_unique<Router>(RouterPorts{bus, store, time, time.after(),
                                                      [this](Outcome o) { outcomes.push_back(std::move(o)); },
                                                      [this](const std::string& device) {
                                                          fetches.push_back(device);
                                                      }},
                                          config);
        router->start();
    }
    /// The process dies here and now: nothing that waits in it is called any more.
    void kill() {
        router.reset();
        store.forget_handlers();
        bus.forget_handlers();
        time.drop_timers();
    }

    void answer(const std::string& records) {
        router->on_answer("boiler", std::string("[{\"bn\":\"") + boiler_base + "\"}," + records + "]");
    }
    [[nodiscard]] const Command& last() const { return store.commands.rbegin()->second; }
    [[nodiscard]] Command at(std::uint64_t id) const { return store.commands.at(id); }
};

} // namespace things
