// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

// What the objects of a meter are called and in which unit the standards print them. The names are those of
// the dictionary of KPN Things where it has one (power, electricCurrent, ...), then direction and phase.
namespace things {

/// One known object. `unit`: what the standard prints, used where a meter leaves it out; "" if it has none.
/// `senml`: "count" for counters; "" where unit says it, or where there is none.
/// Rows of a constant table; pointers to them and what they view live as long as the plugin.
struct KnownObject {
    std::string_view obis, name, unit, senml;
};

/// By normalised code; for electricity, channel 1 counts as channel 0. Null if unknown.
[[nodiscard]] const KnownObject* find_known_object(std::string_view obis);
/// By name; the first that has it.
[[nodiscard]] const KnownObject* find_known_name(std::string_view name);

/// A kind of M-Bus device (EN 13757-3): what it measures, and how the reading, the valve and the identifier
/// are called.
/// Likewise. `unit`: what the standards print for the reading.
struct MbusMedium {
    int type;
    std::string_view medium, reading, unit, valve, id;
};
/// Null for types that have no reading here.
[[nodiscard]] const MbusMedium* find_mbus_type(int type);
/// By the name of the reading, valve or identifier ("volumeGas", "gasValveState", "gasMeterId").
[[nodiscard]] const MbusMedium* find_mbus_name(std::string_view name);
/// "gas", "water"; the first row that has it.
[[nodiscard]] const MbusMedium* find_mbus_medium(std::string_view medium);

} // namespace things
