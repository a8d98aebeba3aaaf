// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_bus.hpp"
#include "modbus/register_table.hpp"

#include <cstdint>
#include <optional>
#include <string>

// What went wrong, for a technician: which unit and registers, what came back, the likely cause, what to try.
// Pure. The codes are stable words; see plugins/modbus/README.md.
namespace things {

/// `code` is a literal and tells kinds of trouble apart for alarms: the same code again is the same alarm.
/// Words: illegal_function illegal_address illegal_value device_failure acknowledge busy refused
/// memory_parity gateway_path gateway_target exception, and without a usable answer timeout echo other_unit
/// other_answer other_length other_number crc garbage closed_instead.
struct BusExplanation {
    const char* code = "";
    std::string text;
};

/// "unit 3, holding registers 100 to 109 (40101 to 40110)".
std::string place_text(const BusRequest& request);
/// The device answered, and said no.
/// `code` as in Modbus Application Protocol V1.1b3, section 7; unknown ones become "exception" with the
/// number in the text. 5 and 6 mean "later", 10 and 11 come from a gateway in between and say that the unit
/// itself was silent.
BusExplanation explain_exception(const BusRequest& request, std::uint8_t code);
/// Nothing, or nothing usable, came back.
/// For Status::silent and Status::damaged only; `result.misfit` chooses the text. What was tried (attempts,
/// timeout, speed) is told with it.
/// `beside` names registers of the unit that are answered, if any: then it is the request that fails.
BusExplanation explain_silence(const BusRequest& request, const Exchange& result, const BusTiming& timing,
                               const LinkSettings& link, const std::string& beside = "");
/// "holding registers 4 and 124 (40005, 40125)"; one of the two must be given.
std::string beside_text(RegisterTable table, std::optional<std::uint32_t> before,
                        std::optional<std::uint32_t> behind);
/// Exceptions 10 and 11: a gateway in between says that the unit itself was silent.
inline bool is_gone_behind_gateway(std::uint8_t code) {
    return code == 10 || code == 11;
}
/// A short word for an exception: "illegal data address".
const char* exception_name(std::uint8_t code);

} // namespace things
