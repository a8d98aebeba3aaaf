// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/printed_text.hpp"
#include "p1/object_line.hpp"
#include "p1/object_names.hpp"
#include "p1/telegram.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// How decode_telegram works: lines first, then the types of M-Bus devices, which the meaning of their
// readings depends on, then object by object. Used by p1/telegram alone; telegram_mbus.cpp has what concerns
// other meters. Pure.
namespace things {

/// The value of a field: "004321.090*kWh", "kWh" glued behind it, or no unit at all.
[[nodiscard]] std::optional<MeterNumber> parse_number(std::string_view field, std::string_view standard_unit);
/// 0 to 999, nothing else.
[[nodiscard]] std::optional<int> parse_small(std::string_view field);
/// "0-3:24.2.1" is channel 3 of the M-Bus devices and their object "24.2.1"; nothing for other codes.
[[nodiscard]] std::optional<std::pair<int, std::string_view>> mbus_part(std::string_view obis);

/// For one telegram; `body`, the rules and the telegram outlive it. lines_ views `body`.
class TelegramDecoder {
public:
    TelegramDecoder(const MeterClockRules& rules, Telegram& telegram) : rules_(rules), telegram_(telegram) {}

    void decode(std::string_view body);

private:
    void split(std::string_view body);
    void take_line(std::string_view line);
    /// Before all readings, whose meaning depends on it, wherever in the telegram the types stand.
    void find_devices();
    void decode_line(const ObjectLine& line);
    /// True: it was clock, version or log of power failures, nothing is left to decode.
    bool decode_admin(const std::string& obis, const std::vector<std::string_view>& fields);
    bool decode_device(const ObjectLine& line);
    void decode_reading(const ObjectLine& line, int channel, std::string_view part);
    /// DSMR 2.2 and 3.0: the value of an hourly reading stands on the next line, which split() joins to it.
    void decode_two_lines(MeterObject& object, const std::vector<std::string_view>& fields) const;
    void decode_known(const ObjectLine& line, const KnownObject& known);
    void decode_plain(MeterObject& object, const std::vector<std::string_view>& fields,
                      std::string_view unit) const;
    void decode_failures(const std::vector<std::string_view>& fields);
    void decode_peaks(const ObjectLine& line, const KnownObject& known);
    void decode_hour(const ObjectLine& line, const KnownObject& known);
    void decode_other(const ObjectLine& line);
    /// Of equal codes the last stays; the others are counted as repeated.
    void put(std::vector<MeterObject>& into, MeterObject object);
    /// The last line was the head of a two-line reading.
    [[nodiscard]] bool awaits_value() const;
    [[nodiscard]] std::optional<MeterTime> time_of(std::string_view field) const {
        return parse_meter_time(trimmed_blanks(field), rules_);
    }

    const MeterClockRules& rules_;
    Telegram& telegram_;
    std::vector<ObjectLine> lines_;
    bool has_old_gas_ = false; // 7-0: objects of DSMR 2.2
};

} // namespace things
