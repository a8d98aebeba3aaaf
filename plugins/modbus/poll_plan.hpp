// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/frame.hpp"
#include "modbus/modbus_settings.hpp"
#include "modbus/register_lessons.hpp"

#include <cstdint>
#include <functional>
#include <vector>

// The requests that read a set of due points, over all units and tables of a source. Pure.
namespace things {

[[nodiscard]] BusRequest read_request(const UnitSettings& unit, RegisterTable table, RegisterSpan span);

/// A point that a request brings: its registers begin `offset` after the first one read.
struct PlannedPoint {
    std::uint32_t point = 0;
    std::uint32_t offset = 0;        ///< of the value
    std::uint32_t factor_offset = 0; ///< of the scale factor, if it has one
};

/// `points` in the order of their addresses; several may share registers. A trial of a gap has none.
struct PlannedRequest {
    std::uint32_t unit = 0; ///< index into ModbusSettings::units
    RegisterTable table = RegisterTable::holding;
    RegisterSpan span;
    std::vector<PlannedPoint> points;
    bool is_trial = false; ///< of a point that is read alone, since it was refused or not answered before
    [[nodiscard]] BusRequest request(const UnitSettings& settings) const;
};

using PollPlan = std::vector<PlannedRequest>;
/// Asked once for each unit and table of a plan.
using CostOf = std::function<LinkCost(std::chrono::milliseconds pause)>;

/// Points that were refused are left out; those on trial are read alone. SunSpec points must have been found.
/// Sorted by unit, table and address, trials at the end. Takes time with the square of the points of one
/// table.
PollPlan make_poll_plan(const ModbusSettings& settings, const std::vector<std::uint32_t>& points,
                        const RegisterLessons& lessons, const CostOf& cost);

/// One request for some points of a planned one, in the order of their addresses.
/// `begin` must be less than `end`.
PlannedRequest part_of(const PlannedRequest& request, std::size_t begin, std::size_t end,
                       const ModbusSettings& settings);

} // namespace things
