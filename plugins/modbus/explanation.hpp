// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_bus.hpp"
#include "modbus/register_table.hpp"

#include <cstdint>
#include <string>

// What went wrong, for a technician: which unit and registers, what came back, the likely cause, what to try.
// Pure. The codes are stable words; see plugins/modbus/README.md.
namespace things {

struct Explanation {
    const char* code = "";
    std::string text;
};

/// "unit 3, holding registers 100 to 109 (40101 to 40110)".
std::string place_text(const BusRequest& request);
/// The device answered, and said no.
Explanation explain_exception(const BusRequest& request, std::uint8_t code);
/// Nothing, or nothing usable, came back.
Explanation explain_silence(const BusRequest& request, const Exchange& result, const BusTiming& timing,
                            const LinkSettings& link);
/// A short word for an exception: "illegal data address".
const char* exception_name(std::uint8_t code);

} // namespace things
