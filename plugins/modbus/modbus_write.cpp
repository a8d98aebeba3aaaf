// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include <algorithm>

// Writing one point: the inverse of reading, refused rather than wrapped where the registers cannot hold it.
namespace things {

namespace {

constexpr std::uint8_t illegal_function = 1;
constexpr int largest_power = 20;

BusRequest write_request(const ModbusPoint& point, std::uint8_t unit, const std::vector<std::uint16_t>& words,
                         bool single) {
    const bool coil = point.table == RegisterTable::coil;
    const unsigned function = single ? (coil ? 5 : 6) : (coil ? 15 : 16);
    return {unit, static_cast<std::uint8_t>(function), static_cast<std::uint16_t>(point.span.first),
            static_cast<std::uint16_t>(words.size()), words};
}

} // namespace

int ModbusSource::write(std::uint32_t point, const things_value& value, things_value& written,
                        std::int64_t deadline_ms) {
    begin(deadline_ms);
    if (!open_link() || !find_sunspec_points(&point, 1))
        return why_over();
    const ModbusPoint& it = settings_.points[point];
    if (it.sunspec && !sunspec_found_[point])
        return THINGS_FAILED; // no answer, or no such model: that was reported
    std::vector<std::uint16_t> current;
    int power = 0;
    if (needs_current(it.format) || it.factor)
        if (const int status = read_around(point, current, power); status != THINGS_OK)
            return status;
    const Encoded encoded = encode(it.format, copy_of(value), current, power);
    if (!encoded.error.empty()) {
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, "value_refused",
                     "writing " + point_text(point) + ": " + encoded.error + ". Nothing was written.");
        return THINGS_INVALID;
    }
    const int status = write_words(point, encoded.words);
    if (status == THINGS_OK)
        written = make_value(written_ = decode(it.format, encoded.words, power).value);
    return status;
}

// Reads what shares the registers (bit, mask) and the scale factor, in the same turn on the bus as the write.
int ModbusSource::read_around(std::uint32_t point, std::vector<std::uint16_t>& current, int& power) {
    const ModbusPoint& it = settings_.points[point];
    const UnitSettings& unit = settings_.units[it.unit];
    const RegisterSpan span = request_span(it.whole(), unit.limits(it.table));
    const BusRequest request{unit.unit, read_function(it.table), static_cast<std::uint16_t>(span.first),
                             static_cast<std::uint16_t>(span.size())};
    const Exchange result = ask(request, timing_of(unit, unit.retries));
    if (result.status == Exchange::Status::lost)
        return THINGS_FAILED;
    if (result.status == Exchange::Status::exception) {
        const BusExplanation why = explain_exception(request, result.code);
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code, why.text);
        return THINGS_REFUSED;
    }
    if (result.status != Exchange::Status::answered) {
        const BusExplanation why =
            explain_silence(request, result, timing_of(unit, unit.retries), settings_.link);
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code, why.text);
        return THINGS_TIMEOUT;
    }
    const auto at = result.words.begin() + (it.span.first - span.first);
    current.assign(at, at + it.span.size());
    if (it.factor)
        power = static_cast<std::int16_t>(result.words[*it.factor - span.first]);
    if (std::abs(power) <= largest_power)
        return THINGS_OK;
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, "no_value",
                 point_text(point) + ": its scale factor says that it is not there. Nothing was written.");
    return THINGS_FAILED;
}

int ModbusSource::write_words(std::uint32_t point, const std::vector<std::uint16_t>& words) {
    ModbusPoint& it = settings_.points[point];
    const UnitSettings& unit = settings_.units[it.unit];
    bool single =
        it.write == WriteChoice::single || (it.write == WriteChoice::automatic && words.size() == 1);
    BusRequest request = write_request(it, unit.unit, words, single);
    Exchange result = ask(request, timing_of(unit, unit.retries));
    // A device that knows only the other function has not done anything: ask with that one, and remember.
    if (it.write == WriteChoice::automatic && result.status == Exchange::Status::exception &&
        result.code == illegal_function && words.size() == 1) {
        request = write_request(it, unit.unit, words, !single);
        result = ask(request, timing_of(unit, unit.retries));
        if (result.status == Exchange::Status::answered)
            it.write = WriteChoice::multiple;
    }
    switch (result.status) {
    case Exchange::Status::answered:
        on_answer(unit.unit);
        return THINGS_OK;
    case Exchange::Status::exception: {
        const BusExplanation why = explain_exception(request, result.code);
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code, point_text(point) + ": " + why.text);
        return THINGS_REFUSED;
    }
    case Exchange::Status::lost:
        return THINGS_FAILED;
    default:
        break;
    }
    const BusExplanation why =
        explain_silence(request, result, timing_of(unit, unit.retries), settings_.link);
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, why.code,
                 point_text(point) + ": " + why.text + " Whether it was written is not known.");
    return THINGS_TIMEOUT;
}

} // namespace things
