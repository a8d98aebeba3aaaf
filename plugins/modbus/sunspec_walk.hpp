// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/point_reports.hpp"
#include "modbus/source_line.hpp"
#include "modbus/unit_states.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

// Finds the models of SunSpec devices: the marker "SunS" at one of three places, then model after model, each
// an id and a length, until the id 0xFFFF. Owned by the source, used on its thread; a restart walks again.
namespace things {

class SunspecWalk {
public:
    /// Writes spans and factors of SunSpec points into `settings`.
    SunspecWalk(ModbusSettings& settings, SourceLine& line, UnitStates& units, PointReports& reports);
    /// Finds the addresses of SunSpec points. False if the call must end.
    /// What is not found is looked for again after ten minutes, after five seconds if the device was busy or
    /// failing.
    [[nodiscard]] bool find(const std::uint32_t* points, std::uint32_t count);
    [[nodiscard]] bool is_found(std::uint32_t point) const { return found_[point]; }
    /// It has no place, and cannot be read.
    [[nodiscard]] bool is_missing(std::uint32_t point) const {
        return settings_.points[point].sunspec && !found_[point];
    }

private:
    struct Model {
        std::uint16_t id = 0;
        std::uint32_t first = 0; ///< address of its id register
        std::uint16_t length = 0;
    };
    enum class Chain : std::uint8_t { words, refused, stop };
    [[nodiscard]] bool walk(std::uint32_t unit);
    [[nodiscard]] Chain read_chain(std::uint32_t unit, std::uint32_t address,
                                   std::array<std::uint16_t, 2>& words, std::string& why);
    void place(std::uint32_t unit, bool marked, const std::vector<Model>& models, const std::string& trouble);

    ModbusSettings& settings_;
    SourceLine& line_;
    UnitStates& units_;
    PointReports& reports_;
    std::vector<bool> found_;           ///< by point: it has its addresses
    std::vector<SteadyTime> next_walk_; ///< by index of units: not before
};

} // namespace things
