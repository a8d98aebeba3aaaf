// SPDX-License-Identifier: Apache-2.0
#include "modbus/point_writer.hpp"

#include "modbus/register_width.hpp"

#include <algorithm>
#include <cstdlib>

namespace things {

namespace {

constexpr std::uint8_t illegal_function = 1;
constexpr int largest_power = 20;
constexpr std::chrono::milliseconds look_pause{100};
constexpr int longest_work = 5; ///< timeouts that a write which was acknowledged may take

BusRequest write_request(const ModbusPoint& point, const UnitSettings& unit,
                         const std::vector<std::uint16_t>& payload, bool single) {
    const bool coil = point.table == RegisterTable::coil;
    const unsigned function = single ? (coil ? 5 : 6) : (coil ? 15 : 16);
    return {unit.unit,
            static_cast<std::uint8_t>(function),
            static_cast<std::uint16_t>(point.span.first),
            static_cast<std::uint16_t>(point.span.size()),
            payload,
            unit.register_bytes};
}

} // namespace

PointWriter::PointWriter(const PluginHost& host, ModbusSettings& settings, SourceLine& line,
                         UnitStates& units, PointReports& reports)
    : host_(host), settings_(settings), line_(line), units_(units), reports_(reports) {}

int PointWriter::write(std::uint32_t point, const things_value& value, things_value& written) {
    const ModbusPoint& it = settings_.points[point];
    std::vector<std::uint16_t> current; // the payload of its registers
    int power = 0;
    if (needs_current(it.format) || it.factor)
        if (const int status = read_around(point, current, power); status != THINGS_OK)
            return status;
    const unsigned register_bytes = settings_.register_bytes(it);
    const Encoded encoded =
        encode(it.format, copy_of(value),
               current.empty() ? current : value_words(current, 0, it.format, register_bytes), power);
    if (!encoded.error.empty()) {
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, "value_refused",
                     "writing " + reports_.name_of(point) + ": " + encoded.error + ". Nothing was written.");
        return THINGS_INVALID;
    }
    const int status = write_payload(point, value_payload(encoded.words, it.format, register_bytes, current));
    if (status == THINGS_OK)
        written = make_value(written_ = decode(it.format, encoded.words, power).value);
    return status;
}

// Reads what shares the registers (bit, mask) and the scale factor, in the same turn on the bus as the write.
int PointWriter::read_around(std::uint32_t point, std::vector<std::uint16_t>& current, int& power) {
    const ModbusPoint& it = settings_.points[point];
    const UnitSettings& unit = settings_.units[it.unit];
    const RegisterSpan span = request_span(it.whole(), unit.limits(it.table));
    const BusRequest request = read_request(unit, it.table, span);
    const Exchange result = line_.ask(request, line_.timing_of(unit, unit.retries));
    if (result.status == Exchange::Status::lost)
        return THINGS_FAILED;
    if (result.status == Exchange::Status::exception) {
        const BusExplanation why = explain_exception(request, result.code);
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code, why.text);
        return THINGS_REFUSED;
    }
    if (result.status != Exchange::Status::answered) {
        const BusExplanation why =
            explain_silence(request, result, line_.timing_of(unit, unit.retries), settings_.link);
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code, why.text + " Nothing was written.");
        return THINGS_FAILED;
    }
    const unsigned register_bytes = settings_.register_bytes(it);
    current = part_of_payload(result.words, it.span.first - span.first, it.span.size(), register_bytes);
    if (it.factor)
        power = power_in(result.words, *it.factor - span.first, register_bytes);
    if (std::abs(power) <= largest_power)
        return THINGS_OK;
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, "no_value",
                 reports_.name_of(point) +
                     ": its scale factor says that it is not there. Nothing was written.");
    return THINGS_FAILED;
}

int PointWriter::write_payload(std::uint32_t point, const std::vector<std::uint16_t>& payload) {
    ModbusPoint& it = settings_.points[point];
    const UnitSettings& unit = settings_.units[it.unit];
    // Functions 5 and 6 write one coil, or one register of two bytes.
    const bool may_be_single = it.span.size() == 1 && settings_.register_bytes(it) == 2;
    bool single = it.write == WriteChoice::single || (it.write == WriteChoice::automatic && may_be_single);
    BusTiming timing = line_.timing_of(unit, 0);
    if (it.is_momentary) // some devices say that they are busy with the very pulse
        timing.retries = 0;
    BusRequest request = write_request(it, unit, payload, single);
    Exchange result = line_.ask(request, timing);
    // A device that knows only the other function has not done anything: ask with that one, and remember.
    if (it.write == WriteChoice::automatic && result.status == Exchange::Status::exception &&
        result.code == illegal_function && may_be_single) {
        request = write_request(it, unit, payload, !single);
        result = line_.ask(request, timing);
        if (result.status == Exchange::Status::answered)
            it.write = WriteChoice::multiple;
    }
    const bool is_accepted = result.status == Exchange::Status::exception && result.code == acknowledge;
    if (result.status == Exchange::Status::answered || is_accepted) {
        units_.on_answer(unit.unit);
        if (is_accepted && !it.is_write_only && !it.is_momentary)
            return await_done(point, request);
        if (it.is_write_only) // no reading will ever say so
            host_.report(THINGS_RECOVERED, THINGS_POINT, point, "", reports_.name_of(point) + ": written.");
        return THINGS_OK;
    }
    return tell_failure(point, request, result, timing);
}

int PointWriter::tell_failure(std::uint32_t point, const BusRequest& request, const Exchange& result,
                              const BusTiming& timing) {
    if (result.status == Exchange::Status::lost && !result.was_sent)
        return line_.why_over();
    BusExplanation why;
    switch (result.status) {
    case Exchange::Status::exception:
        why = explain_exception(request, result.code);
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code,
                     reports_.name_of(point) + ": " + why.text);
        return THINGS_REFUSED;
    case Exchange::Status::lost:
        why = {"answer_lost", place_text(request) + ": the connection was lost before the answer came. "};
        break;
    default:
        why = explain_silence(request, result, timing, settings_.link);
        if (request.function == 5 || request.function == 6)
            why.text += std::string(" A device that takes only function ") +
                        (request.function == 5 ? "15" : "16") + " needs `write_function: multiple`.";
    }
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code,
                 reports_.name_of(point) + ": " + why.text +
                     (result.was_sent ? " Whether it was written is not known; it is not sent again."
                                      : " Nothing was written."));
    return result.was_sent ? THINGS_TIMEOUT : THINGS_FAILED;
}

// The device has accepted the write and takes its time over it (exception 5). It is not asked twice: what the
// registers hold says when it is done.
int PointWriter::await_done(std::uint32_t point, const BusRequest& request) {
    const ModbusPoint& it = settings_.points[point];
    const UnitSettings& unit = settings_.units[it.unit];
    const auto value_in = [&it, register_bytes = settings_.register_bytes(it)](
                              const std::vector<std::uint16_t>& payload, std::uint32_t offset) {
        return decode(it.format, value_words(payload, offset, it.format, register_bytes)).value;
    };
    const RegisterValue wanted = value_in(request.values, 0);
    const RegisterSpan span = request_span(it.span, unit.limits(it.table));
    const BusRequest look = read_request(unit, it.table, span);
    const std::int64_t until =
        std::min(line_.deadline_ms(), monotonic_ms() + longest_work * unit.timeout.count());
    for (;;) {
        line_.bus().sleep(look_pause);
        const Exchange result = line_.ask(look, line_.timing_of(unit, unit.retries));
        if (result.status == Exchange::Status::answered &&
            value_in(result.words, it.span.first - span.first) == wanted)
            return THINGS_OK;
        if (result.status == Exchange::Status::lost || line_.is_interrupted_now() || monotonic_ms() >= until)
            break;
    }
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, "acknowledge",
                 reports_.name_of(point) + ": " + place_text(request) +
                     ": the device accepted the write (exception 5, acknowledge), but does not show it yet. "
                     "Whether it was written is not known; it is not sent again.");
    return THINGS_TIMEOUT;
}

} // namespace things
