// SPDX-License-Identifier: Apache-2.0
#include "modbus/explanation.hpp"

#include <algorithm>
#include <array>

namespace things {

namespace {

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

const char* silence_advice(const LinkSettings& link) {
    return link.serial
               ? "Is the device switched on, is `unit_id` its address, do baud rate and parity match, are A "
                 "and B the right way round, is the line terminated? `scan SOURCE` shows who answers."
               : "Is the device (behind this connection) switched on, is `unit_id` right (often 1, 255 or "
                 "0 for a device with its own network port)? Slow devices need a longer `timeout`.";
}

} // namespace

std::string place_text(const BusRequest& request) {
    static constexpr std::array<const char*, 4> plural{"coil", "discrete input", "holding register",
                                                       "input register"};
    const RegisterTable table = table_of_function(request.function);
    const unsigned last = std::min(request.address + request.count - 1U, 65535U);
    std::string text =
        "unit " + std::to_string(request.unit) + ", " + plural[static_cast<std::size_t>(table)];
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
                               const LinkSettings& link) {
    const std::string what = asked(request) + " on " + link.text() + ": ";
    const std::string tries = attempts_text(result.attempts);
    switch (result.misfit.kind) {
    case Misfit::Kind::silence:
        return {"timeout", what + "no answer within " + std::to_string(timing.timeout.count()) + " ms" +
                               tries + ". " + silence_advice(link)};
    case Misfit::Kind::echo:
        return {"echo",
                what + "only our own request came back" + tries +
                    ". The adapter echoes, so the line works up to there, but the device does not answer. " +
                    silence_advice(link)};
    case Misfit::Kind::other_unit:
        return {"other_unit",
                what + "unit " + std::to_string(result.misfit.unit) + " answered instead" + tries +
                    ". Do two devices have the same address, is a second master on the line, or does a "
                    "device answer too late (longer `timeout`)?"};
    case Misfit::Kind::other_request:
        return {"other_answer",
                what + "what came answers another request" + tries +
                    ". A device that answers too late needs a longer `timeout`; otherwise a second "
                    "master may be on the line."};
    case Misfit::Kind::damaged:
        return {
            "crc",
            what + "the answer came damaged (checksum wrong)" + tries +
                ". Noise on the line: check shield, termination, A and B, a common ground; or two devices "
                "have the same address and answer at once."};
    case Misfit::Kind::garbage:
        break;
    }
    return {"garbage",
            what + "what came is no Modbus answer" + tries +
                (link.rtu_framing
                     ? ". Wrong baud rate or parity looks like this, and so does noise or a second master."
                     : ". Is this a Modbus TCP port? A transparent serial server needs `framing: rtu`.")};
}

} // namespace things
