// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/point_writer.hpp"
#include "modbus/unit_polls.hpp"

#include <cstdint>
#include <memory>
#include <vector>

// One source: a line or connection, its units and points, joined from the owners of each. Everything here
// runs on the source's thread, one call at a time. Kept in memory only.
namespace things {

class ModbusSource {
public:
    /// Null: problem() was told why. The link is opened by the first call that needs it.
    static std::unique_ptr<ModbusSource> make(const PluginHost& host, const things_source_config& config);
    ModbusSource(const PluginHost& host, ModbusSettings settings);

    /// One request after the other until all were sent, the deadline is over or the host interrupts; what is
    /// left then is due again. Each request's readings leave as soon as its answer is there. A point that is
    /// refused, silent or without a value was reported.
    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    /// Reads before it writes where the point is part of a register or has a scale factor: both in one turn
    /// on the bus, yet a second master could write between them. `written` is what the registers now hold,
    /// read back from the words sent; text in it lives until the next call.
    /// THINGS_TIMEOUT: whether the device took it is not known. Never sent again by the plugin, unless the
    /// device said that it was busy.
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);
    /// Closes the source's own link for it.
    int discover(const PluginSettings& options, std::int64_t deadline_ms);
    int plan();

private:
    /// At most 32 are kept, those used last. Made anew when a lesson was learned, or when a request came to
    /// be worth twice or half as many bytes.
    struct CachedPlan {
        std::vector<std::uint32_t> points;
        std::uint64_t epoch = 0;
        double request_bytes = 0; ///< of the cost model it was made with
        std::uint64_t used = 0;
        PollPlan plan;
    };
    /// At the beginning of a call: the link is opened, and SunSpec points get their places. False: it is
    /// over.
    [[nodiscard]] bool begin(std::int64_t deadline_ms, const std::uint32_t* points, std::uint32_t count);
    [[nodiscard]] const PollPlan& plan_for(const std::vector<std::uint32_t>& points);
    [[nodiscard]] const UnitSettings& unit_of(const PlannedRequest& request) const {
        return settings_.units[request.unit];
    }

    PluginHost host_;
    ModbusSettings settings_;
    RegisterLessons lessons_;
    UnitStates units_;
    SourceLine line_;
    PointReports reports_;
    SunspecWalk sunspec_;
    RequestReader reader_;
    UnitPolls polls_;
    PointWriter writer_;
    std::vector<CachedPlan> plans_;
    std::uint64_t uses_ = 0; ///< of plans
};

} // namespace things
