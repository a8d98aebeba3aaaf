// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/point_reports.hpp"
#include "modbus/source_line.hpp"
#include "modbus/unit_states.hpp"

#include <cstdint>
#include <vector>

// Writes one point: the inverse of reading, refused rather than wrapped where the registers cannot hold it.
// Owned by the source, used on its thread.
namespace things {

class PointWriter {
public:
    /// Remembers in `settings` which function a device takes.
    PointWriter(const PluginHost& host, ModbusSettings& settings, SourceLine& line, UnitStates& units,
                PointReports& reports);
    /// See ModbusSource::write(). The line must be open.
    int write(std::uint32_t point, const things_value& value, things_value& written);

private:
    /// Status of the contract; `current` and `power` are good with THINGS_OK alone.
    [[nodiscard]] int read_around(std::uint32_t point, std::vector<std::uint16_t>& current, int& power);
    [[nodiscard]] int write_payload(std::uint32_t point, const std::vector<std::uint16_t>& payload);
    [[nodiscard]] int tell_failure(std::uint32_t point, const BusRequest& request, const Exchange& result,
                                   const BusTiming& timing);
    [[nodiscard]] int await_done(std::uint32_t point, const BusRequest& request);

    const PluginHost& host_;
    ModbusSettings& settings_;
    SourceLine& line_;
    UnitStates& units_;
    PointReports& reports_;
    RegisterValue written_; ///< what the last written value points to
};

} // namespace things
