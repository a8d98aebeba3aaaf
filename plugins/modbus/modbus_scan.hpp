// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_bus.hpp"
#include "modbus/modbus_settings.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Looks around on a bus for a technician; results leave as JSON lines, one a finding. Used on the source's
// thread. Options (all optional):
//   units: 1-32, timeout, baud: [..], parity: [..]   which units answer; from and to are unit ids, too
//   unit, table, from, to                         which registers of that unit exist, by bisection
//   unit, explain, table, count                   the words at that address under every type and order
//
//   {"unit":3,"baud":9600,"parity":"none","answer":"value","ms":21}
//   {"unit":3,"table":"holding","first":0,"last":71,"count":72}
//   {"unit":3,"table":"holding","address":100,"words":["0x41AA","0x6666"]}
//   {"type":"float32","order":"ABCD","value":21.3,"plausible":true}
namespace things {

class PluginSettings;

/// What to look for.
/// `from` and `to` (inclusive) are unit ids, 1 to 247 by default, or addresses, 1024 of them by default.
/// `count`: 1 to 125 registers, as many as one request may ask for.
struct ScanOptions {
    std::optional<std::uint8_t> unit;
    std::optional<std::uint16_t> explain;
    std::vector<RegisterTable> tables;
    std::uint32_t from = 0, to = 0, count = 4;
    std::chrono::milliseconds timeout{0};
    std::vector<LineSettings> frames; ///< serial speeds and parities to try; one entry on TCP
};
/// `error` says what is wrong with them.
/// What is returned beside an error is not to be used.
ScanOptions read_scan_options(const PluginSettings& settings, const ModbusSettings& source,
                              std::string& error);

/// Opens a link of its own: the source that offers the scan has closed its one before, since a serial port is
/// held by one only. Reads alone, never writes.
class ModbusScan {
public:
    /// All must outlive the scan.
    /// `is_over` is asked before every request, so an interrupted scan ends within one timeout.
    struct Calls {
        std::function<void(const std::string&)> found;
        std::function<void(double)> progress;
        std::function<bool()> is_over;
    };
    ModbusScan(ModbusSettings settings, Calls calls, const PluginHost* host);

    enum class Outcome : std::uint8_t { done, interrupted, failed };
    /// Once an object. interrupted: what was found so far has been told. failed: the link could not be opened
    /// or was lost and did not come back soon, or a chosen unit did not answer for any of three registers of
    /// a block, or no longer for one that it answered.
    [[nodiscard]] Outcome run(const ScanOptions& options);
    /// Why it failed.
    [[nodiscard]] const LinkTrouble& trouble() const { return trouble_; }

private:
    [[nodiscard]] Outcome scan_units(const ScanOptions& options);
    [[nodiscard]] Outcome scan_registers(const ScanOptions& options, RegisterTable table);
    [[nodiscard]] Outcome explain(const ScanOptions& options);
    /// Reads the span, and its halves if it is refused. Halves begin at multiples of powers of two.
    [[nodiscard]] Outcome bisect(RegisterSpan span);
    [[nodiscard]] BusRequest request_for(std::uint8_t unit, RegisterTable table, RegisterSpan span) const;
    [[nodiscard]] Exchange ask(std::uint8_t unit, RegisterTable table, RegisterSpan span);
    [[nodiscard]] bool reopen_soon();
    [[nodiscard]] bool is_there(RegisterSpan silent);
    /// Joins what can be read to one range; tell_range() ends it.
    void keep(RegisterSpan span);
    void tell_range();

    ModbusSettings settings_;
    Calls calls_;
    const PluginHost* host_; ///< null: nobody interrupts an opening
    std::unique_ptr<ModbusBus> bus_;
    LinkTrouble trouble_;
    BusTiming timing_;
    std::uint8_t unit_ = 1;
    RegisterTable table_ = RegisterTable::holding;
    RegisterSpan range_, all_;
    double part_ = 0, share_ = 1; ///< of the progress: before this table, and of it
    int silent_in_a_row_ = 0;
    bool is_there_ = false;              ///< the chosen unit answered something
    std::optional<std::uint32_t> known_; ///< a register of the table that could be read
};

/// The words under every type and order, one JSON line each. Pure.
std::vector<std::string> explain_words(const std::vector<std::uint16_t>& words);

} // namespace things
