// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/link_cost.hpp"
#include "modbus/read_plan.hpp"
#include "modbus/register_value.hpp"
#include "modbus/sunspec_models.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct things_source_config;

// What was configured, as plain values with defaults applied. Made once a source, from the host's settings.
namespace things {

class PluginHost;

/// "none", "even" or "odd".
[[nodiscard]] LineParity parity_of(std::string_view word);

/// Either `serial` with port and frame, or host and tcp_port; what belongs to the other is not looked at.
struct LinkSettings {
    bool serial = false;
    std::string port; ///< of a serial line
    LineSettings line;
    bool rs485 = false;
    std::string host; ///< of a TCP connection
    std::uint16_t tcp_port = 502;
    bool rtu_framing = true; ///< RTU frames: always on a serial line, on request over TCP
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds connect_delay{0}; ///< the longest of the source's and its devices'
    [[nodiscard]] std::string text() const;     ///< "/dev/ttyUSB0 at 9600 8N1", "192.0.2.1 port 502"
};

/// How one unit is to be treated. Points with equal settings may share requests.
/// Two devices with the same unit id and different settings are two entries of ModbusSettings::units, and
/// share no request.
struct UnitSettings {
    std::uint8_t unit = 1;
    std::chrono::milliseconds timeout{1000};
    int retries = 2;
    std::chrono::milliseconds pause{0};
    std::chrono::milliseconds backoff_max{60000};
    std::optional<std::uint32_t> gap; ///< nothing: learn
    std::uint32_t max_registers = 125;
    std::uint32_t max_coils = 2000;
    bool even = false;
    std::uint8_t register_bytes = 2; ///< 1, 2, 4 or 8
    friend bool operator==(const UnitSettings&, const UnitSettings&) = default;
    /// With `even` the limit is made even as well.
    [[nodiscard]] ReadLimits limits(RegisterTable table) const;
};

/// automatic: a single word by function 6 (coils 5), more by 16 (15); the other one of the two is tried once
/// where the device refuses the function.
enum class WriteChoice : std::uint8_t { automatic, single, multiple };

/// Invariant: `unit` and `device` are in range, `format` fits `table`, and value and factor together fit one
/// request.
struct ModbusPoint {
    std::string name;
    std::uint32_t device = 0; ///< index into ModbusSettings::devices
    std::uint32_t unit = 0;   ///< index into ModbusSettings::units
    RegisterTable table = RegisterTable::holding;
    RegisterSpan span;                   ///< of the value; of SunSpec points once it was found
    std::optional<std::uint32_t> factor; ///< address of the register with the power of ten
    std::optional<SunspecPlace> sunspec; ///< found by walking; span and factor follow from it
    RegisterFormat format;
    WriteChoice write = WriteChoice::automatic;
    bool is_write_only = false; ///< never read: not even before or after a write
    bool is_momentary = false;  ///< written once, whatever the answer
    std::int64_t interval_ms = 60000;
    /// Read in one request, since a value and its power of ten belong together.
    [[nodiscard]] RegisterSpan whole() const; ///< value and factor
};

/// Indices of `points` and `devices` are those of the host's configuration.
struct ModbusSettings {
    std::string name;
    LinkSettings link;
    std::vector<std::string> devices;
    std::vector<UnitSettings> units;
    std::vector<ModbusPoint> points;
    UnitSettings fallback; ///< of a unit that no device has: for scans
    /// Connecting, or one request with its repeats, whichever takes longer.
    [[nodiscard]] std::chrono::milliseconds longest_step() const;
    /// Bytes in a register of the point; 2 for coils, which are kept one in a word.
    [[nodiscard]] unsigned register_bytes(const ModbusPoint& point) const;
};

/// Nothing if the configuration has a mistake, which was told to the host.
/// All mistakes are told, not the first alone. Touches no device and no file.
std::optional<ModbusSettings> read_settings(const PluginHost& host, const things_source_config& config);

} // namespace things
