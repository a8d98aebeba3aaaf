// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <modbus/modbus.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The registers of the units of modbus-server, the faults they are told to play, and the line commands that
// change both. One thread.
namespace things {

class ModbusStore {
public:
    enum class Table : std::uint8_t { coil, discrete, holding, input };

    ModbusStore();

    /// Carries out "set holding 100 215 216", "set unit 3 coil 7 1", "exception unit 1 holding 30 2",
    /// "silent unit 3", "delay unit 2 500ms", "ok unit 3" (no more faults). Returns "" or what is wrong.
    std::string command(std::string_view line);
    /// "holding:100=215,216" or "3:holding:100=215": as on the command line.
    std::string set(std::string_view text);
    /// Only these units answer; by default all do.
    void limit_to(std::vector<std::uint8_t> units) { units_ = std::move(units); }

    /// How a request must be answered.
    struct Answer {
        bool silent = false;
        int exception = 0;
        std::chrono::milliseconds delay{0};
    };
    [[nodiscard]] Answer answer(std::uint8_t unit, std::uint8_t function, unsigned address,
                                unsigned count) const;
    [[nodiscard]] modbus_mapping_t* mapping(std::uint8_t unit);

private:
    struct Free {
        void operator()(modbus_mapping_t* mapping) const { modbus_mapping_free(mapping); }
    };
    struct Unit {
        std::unique_ptr<modbus_mapping_t, Free> mapping;
        bool silent = false;
        std::chrono::milliseconds delay{0};
        std::map<std::pair<Table, unsigned>, int> exceptions;
    };
    Unit& unit(std::uint8_t id);
    std::string store(std::uint8_t id, std::string_view table, unsigned address,
                      const std::vector<unsigned>& values);

    std::map<std::uint8_t, Unit> all_;
    std::vector<std::uint8_t> units_;
};

} // namespace things
