// SPDX-License-Identifier: Apache-2.0
#include "modbus/explanation.hpp"

#include <algorithm>
#include <array>

namespace things {

namespace {

constexpr std::array<const char*, 4> names{"coil", "discrete input", "holding register", "input register"};

struct ExceptionRow {
    std::uint8_t code;
    const char* word;
    const char* name;
    const char* advice;
};

constexpr std::array<ExceptionRow, 10> exceptions{{
    {1, "illegal_function", "illegal function",
     "The device does not know this kind of access. Try the other table (input instead of holding, or the "
     "reverse), "
     "or for a write the other `write_function`."},
    {2, "illegal_address", "illegal data address",
     "The device has no such register, or does not allow it to be read with its neighbours. Check the "
     "address "
     "against the data sheet: is it one-based (use `entity`), is it hexadecimal, is the length of the type "
     "right? "
     "`scan SOURCE --unit N` shows which registers exist."},
    {3, "illegal_value", "illegal data value",
     "The device does not accept this value, or this many registers at once. Check the allowed range of a "
     "setting, and `max_registers` of the device."},
    {4, "device_failure", "device failure",
     "The device failed while it did what was asked. Some devices say so for registers that they do not "
     "have, or "
     "while their own sensor is missing."},
    {5, "acknowledge", "acknowledge",
     "The device has accepted this and needs more time. Give it a longer `pause`, or ask less often."},
    {6, "busy", "device busy",
     "The device is busy with something else. Give it a longer `pause`, or ask less often."},
    {7, "refused", "negative acknowledge",
     "The device cannot do this; an old code of programming functions."},
    {8, "memory_parity", "memory parity error",
     "The device found its own memory damaged. Switch it off and on; if it stays, the device is broken."},
    {10, "gateway_path", "gateway path unavailable",
     "The Modbus gateway in between has no way to this unit. Check `unit_id`, and the routing table and "
     "serial "
     "settings of that gateway."},
    {11, "gateway_target", "gateway target did not respond",
     "The Modbus gateway in between got no answer from this unit. Check `unit_id`, the wiring and supply of "
     "the "
     "device behind it, and the baud rate set in that gateway."},
}};

const ExceptionRow* find(std::uint8_t code) {
    const auto* row = std::find_if(exceptions.begin(), exceptions.end(),
                                   [code](const ExceptionRow& r) { return r.code == code; });
    return row == exceptions.end() ? nullptr : row;
}

RegisterTable table_of_function(std::uint8_t function) {
    switch (function) {
    case 1:
    case 5:
    case 15:
        return RegisterTable::coil;
    case 2:
        return RegisterTable::discrete;
    case 4:
        return RegisterTable::input;
    default:
        return RegisterTable::holding;
    }
}

std::string asked(const BusRequest& request) {
    const char* verb = request.function <= 4 ? "reading " : "writing ";
    return verb + place_text(request) + " with function " + std::to_string(request.function);
}

std::string attempts_text(int attempts) {
    return attempts > 1 ? ", asked " + std::to_string(attempts) + " times" : "";
}

// What came, byte by byte, so that it can be held against the data sheet.
std::string bytes_text(const Misfit& misfit) {
    static const char* const digits = "0123456789ABCDEF";
    if (misfit.bytes.empty())
        return "";
    std::string text = misfit.size > misfit.bytes.size()
                           ? " The last " + std::to_string(misfit.bytes.size()) + " of " +
                                 std::to_string(misfit.size) + " bytes that came:"
                           : " What came:";
    for (const std::uint8_t byte : misfit.bytes)
        text += {' ', digits[byte >> 4], digits[byte & 0xF]};
    return text + ".";
}

const char* silence_advice(const LinkSettings& link) {
    return link.serial
               ? "Is the device switched on, is `unit_id` its address, do baud rate and parity match, are A "
                 "and B the right way round, is the line terminated? `scan SOURCE` shows who answers."
               : "Is the device (behind this connection) switched on, is `unit_id` right (often 1, 255 or "
                 "0 for a device with its own network port)? Slow devices need a longer `timeout`.";
}

// What came in place of the answer: a word for machines, what it is, and what to try.
struct Finding {
    const char* code;
    std::string came, advice;
};

const char* const too_late =
    "A device that answers too late needs a longer `timeout`; otherwise a second master "
    "may be on the line.";

// A register that holds other than two bytes shows in an answer of so many more (or less).
std::string length_advice(const BusRequest& request, unsigned came) {
    const unsigned each = came / std::max<unsigned>(request.count, 1);
    const bool is_width = each * request.count == came && each != request.register_bytes &&
                          (each == 1 || each == 2 || each == 4 || each == 8);
    return (is_width ? "If the registers of this device hold " + std::to_string(each) +
                           (each == 1 ? " byte" : " bytes") +
                           ", give it `register_bytes: " + std::to_string(each) + "`. Otherwise it"
                     : std::string("The device")) +
           " may not read so many at once (`max_registers`), or answers an earlier request too late (longer "
           "`timeout`).";
}

Finding find_misfit(const BusRequest& request, const Misfit& misfit, const LinkSettings& link) {
    const std::string came = std::to_string(misfit.came), wanted = std::to_string(misfit.wanted);
    switch (misfit.kind) {
    case Misfit::Kind::other_unit:
        return {
            "other_unit", "unit " + came + " answered instead",
            "Do two devices have the same address, is a second master on the line, does a device answer too "
            "late (longer `timeout`), or is `unit_id` not the number that it answers with?"};
    case Misfit::Kind::other_function:
        return {"other_answer", "the answer is to function " + std::to_string(misfit.came & 0x7F), too_late};
    case Misfit::Kind::other_length:
        return {"other_length", "asked for " + wanted + " bytes, " + came + " came",
                length_advice(request, misfit.came)};
    case Misfit::Kind::other_number:
        return {"other_number", "the answer has the transaction number " + came + " in place of " + wanted,
                "It may belong to an earlier request and come too late: a longer `timeout` helps then."};
    case Misfit::Kind::other_request:
        return {"other_answer", "what came answers another request", too_late};
    case Misfit::Kind::damaged:
        return {
            "crc", "the answer came damaged (checksum wrong)",
            "Noise on the line: check shield, termination, A and B, a common ground; or two devices have the "
            "same address and answer at once."};
    case Misfit::Kind::closed:
        return {
            "closed_instead", "the device closed the connection instead of answering",
            "Some devices do so for registers that they do not have: check the address against the data "
            "sheet. Others close when they are asked too soon after connecting (`connect_delay`), or when "
            "another client connects."};
    default:
        return {"garbage", "what came is not a Modbus answer",
                link.rtu_framing
                    ? "Wrong baud rate or parity looks like this, and so does noise or a second master."
                    : "Is this a Modbus TCP port? A transparent serial server needs `framing: rtu`."};
    }
}

} // namespace

std::string place_text(const BusRequest& request) {
    const RegisterTable table = table_of_function(request.function);
    const unsigned last = std::min(request.address + request.count - 1U, 65535U);
    std::string text = "unit " + std::to_string(request.unit) + ", " + names[static_cast<std::size_t>(table)];
    if (request.count > 1)
        text += "s";
    text += " " + std::to_string(request.address);
    if (request.count > 1)
        text += " to " + std::to_string(last);
    text += " (" + entity_text({table, request.address});
    if (request.count > 1)
        text += " to " + entity_text({table, static_cast<std::uint16_t>(last)});
    return text + ")";
}

std::string beside_text(RegisterTable table, std::optional<std::uint32_t> before,
                        std::optional<std::uint32_t> behind) {
    const auto number = [](std::uint32_t address) {
        return std::to_string(address);
    };
    const auto entity = [table](std::uint32_t address) {
        return entity_text({table, static_cast<std::uint16_t>(address)});
    };
    const std::string name = names[static_cast<std::size_t>(table)];
    if (before && behind)
        return name + "s " + number(*before) + " and " + number(*behind) + " (" + entity(*before) + ", " +
               entity(*behind) + ")";
    const std::uint32_t only = before ? *before : behind.value_or(0);
    return name + " " + number(only) + " (" + entity(only) + ")";
}

const char* exception_name(std::uint8_t code) {
    const ExceptionRow* row = find(code);
    return row ? row->name : "unknown exception";
}

BusExplanation explain_exception(const BusRequest& request, std::uint8_t code) {
    const ExceptionRow* row = find(code);
    const std::string came = asked(request) + ": the answer is exception " + std::to_string(code) + ", " +
                             exception_name(code) + ". ";
    if (!row)
        return {"exception", came + "The code is not one of the standard; the data sheet may know it."};
    return {row->word, came + row->advice};
}

BusExplanation explain_silence(const BusRequest& request, const Exchange& result, const BusTiming& timing,
                               const LinkSettings& link, const std::string& beside) {
    const std::string what = asked(request) + " on " + link.text() + ": ";
    const std::string tries =
        attempts_text(result.attempts) +
        (beside.empty() ? ""
                        : ", while " + beside + " of the same unit " +
                              (beside.find(" and ") == std::string::npos ? "is" : "are") + " answered");
    const std::string waited = std::to_string(timing.timeout.count()) + " ms" + tries + ". ";
    if (result.misfit.kind == Misfit::Kind::silence && !beside.empty())
        return {"timeout", what + "not answered within " + waited +
                               "The device probably does not have this register, and says nothing instead of "
                               "refusing it: check the address against the data sheet. Is it one-based (use "
                               "`entity`), is it in the other table?"};
    if (result.misfit.kind == Misfit::Kind::silence)
        return {"timeout", what + "no answer within " + waited + silence_advice(link)};
    if (result.misfit.kind == Misfit::Kind::echo)
        return {"echo", what + "only our own request came back" + tries +
                            ". The adapter echoes, so the line works up to there, but the device does not "
                            "answer. " +
                            silence_advice(link)};
    const Finding found = find_misfit(request, result.misfit, link);
    return {found.code, what + found.came + tries + "." + bytes_text(result.misfit) + " " + found.advice};
}

} // namespace things
