// SPDX-License-Identifier: Apache-2.0
#include "modbus/request_reader.hpp"

#include "modbus/register_width.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace things {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds patience{50};  // for an answer that may still come
constexpr std::chrono::seconds refused_long{3600}; // a register that is not there
constexpr std::chrono::seconds refused_short{60};  // a device that failed at it

constexpr int largest_power = 20; // of a scale factor; beyond it is no scale factor

std::string hex_text(std::span<const std::uint16_t> words) {
    static const char* const digits = "0123456789ABCDEF";
    std::string text;
    for (const std::uint16_t word : words) {
        if (!text.empty())
            text += ' ';
        text += {'0',
                 'x',
                 digits[word >> 12],
                 digits[word >> 8 & 0xF],
                 digits[word >> 4 & 0xF],
                 digits[word & 0xF]};
    }
    return text;
}

} // namespace

RequestReader::RequestReader(const PluginHost& host, const ModbusSettings& settings, SourceLine& line,
                             UnitStates& units, RegisterLessons& lessons, PointReports& reports)
    : host_(host), settings_(settings), line_(line), units_(units), lessons_(lessons), reports_(reports),
      was_read_(settings.points.size(), false) {}

void RequestReader::begin(bool wants_raw) {
    wants_raw_ = wants_raw;
    wasted_ = std::chrono::nanoseconds(0);
    failed_.clear();
}

RequestReader::Next RequestReader::read(const PlannedRequest& request, int silent_retries) {
    const UnitSettings& unit = unit_of(request);
    if (line_.is_over()) {
        resume_ = Place{request.unit, request.table, request.span.first};
        line_.interrupt();
        return Next::stop;
    }
    const BusRequest frame = request.request(unit);
    if (!is_clear(request, frame))
        return Next::later;
    BusTiming timing = line_.timing_of(unit, std::max(silent_retries, 0));
    if (silent_retries == glance)
        timing.patience = units_.short_patience(unit);
    const SteadyTime now = Clock::now();
    const Exchange result = line_.ask(frame, timing);
    switch (result.status) {
    case Exchange::Status::answered:
        on_data(request, result);
        return Next::go_on;
    case Exchange::Status::exception:
        if (is_gone_behind_gateway(result.code))
            return fail(request, {frame, result, timing, Clock::now() - now});
        return on_exception(request, frame, result.code);
    case Exchange::Status::silent:
    case Exchange::Status::damaged:
        return fail(request, {frame, result, timing, Clock::now() - now});
    case Exchange::Status::lost:
        break;
    }
    resume_ = Place{request.unit, request.table, request.span.first + 1}; // behind it
    return Next::stop;
}

// Waiting for an answer that may still come is for a line without neighbours; else the next beat will do.
bool RequestReader::is_clear(const PlannedRequest& request, const BusRequest& frame) {
    const std::uint8_t unit = unit_of(request).unit;
    const SteadyTime clear = line_.bus().clear_at(frame);
    const bool is_alone = !units_.has_neighbours(unit);
    const SteadyTime end = Clock::now() + std::chrono::milliseconds(line_.deadline_ms() - monotonic_ms());
    if (clear <= Clock::now() + patience || (is_alone && clear <= end))
        return true;
    if (is_alone)
        line_.interrupt();
    if (wants_raw_)
        host_.report(THINGS_NOTE, THINGS_DEVICE, units_[unit].devices.front(), waits,
                     place_text(frame) + " is not asked for now: the answer to an earlier request that looks "
                                         "alike may still come. Try again in some seconds.");
    return false;
}

void RequestReader::on_data(const PlannedRequest& request, const Exchange& result) {
    const std::uint8_t unit = unit_of(request).unit;
    units_.on_answer(unit);
    units_.learn_usual(unit, result.duration_us);
    units_[unit].good = {request.unit, request.table, request.span, {}, false};
    if (request.points.empty()) { // asked for to see whether the unit is there
        for (std::size_t i = 0; i < settings_.points.size(); ++i)
            if (const ModbusPoint& point = settings_.points[i];
                point.unit == request.unit && point.table == request.table &&
                request.span.first <= point.span.first && point.span.end <= request.span.end)
                was_read_[i] = true;
        return;
    }
    readings_.clear();
    texts_.clear();
    texts_.reserve(2 * request.points.size()); // readings point into it
    for (const PlannedPoint& planned : request.points)
        emit_point(planned, result);
    host_.emit(readings_.data(), static_cast<std::uint32_t>(readings_.size()));
}

RequestReader::Next RequestReader::on_exception(const PlannedRequest& request, const BusRequest& frame,
                                                std::uint8_t code) {
    units_.on_answer(unit_of(request).unit);
    if (!says_later(code))
        return request.points.empty() ? Next::go_on : narrow(request, code);
    for (const PlannedPoint& planned : request.points) {
        const BusExplanation why = explain_exception(frame, code);
        reports_.problem(planned.point, why.code, why.text);
    }
    return Next::go_on;
}

void RequestReader::emit_point(const PlannedPoint& planned, const Exchange& result) {
    const ModbusPoint& point = settings_.points[planned.point];
    was_read_[planned.point] = true;
    if (lessons_.accept(planned.point, point))
        reports_.works(planned.point);
    const unsigned register_bytes = settings_.register_bytes(point);
    std::span<const std::uint16_t> words = result.words;
    std::vector<std::uint16_t> wide;
    if (register_bytes == 2)
        words = words.subspan(planned.offset, point.span.size());
    else
        words = wide = value_words(words, planned.offset, point.format, register_bytes);
    int power = 0;
    Decoded decoded;
    if (point.factor)
        power = power_in(result.words, planned.factor_offset, register_bytes);
    if (std::abs(power) > largest_power)
        decoded.why_not = "a value whose scale factor says that it is not there";
    else
        decoded = decode(point.format, words, power);
    if (decoded.why_not) {
        reports_.problem(planned.point, "no_value",
                         reports_.name_of(planned.point) + ": " + hex_text(words) + " is " + decoded.why_not +
                             ".");
        return;
    }
    reports_.works(planned.point);
    things_reading reading{};
    reading.size = sizeof reading;
    reading.point = planned.point;
    const auto* text = std::get_if<std::string>(&decoded.value);
    reading.value = text ? make_value(texts_.emplace_back(*text)) : make_value(decoded.value);
    reading.duration_us = result.duration_us;
    if (wants_raw_)
        reading.raw = texts_.emplace_back(hex_text(words)).c_str();
    readings_.push_back(reading);
}

// Halves a refused request until the points that the device does not have stand alone.
RequestReader::Next RequestReader::narrow(const PlannedRequest& request, std::uint8_t code) {
    const RegisterSpan first = settings_.points[request.points.front().point].whole();
    const bool single =
        std::all_of(request.points.begin(), request.points.end(), [&](const PlannedPoint& planned) {
            return settings_.points[planned.point].whole() == first;
        });
    constexpr std::uint8_t illegal_function = 1;
    if (single || code == illegal_function) {
        refuse(request, code);
        return Next::go_on;
    }
    std::size_t middle = request.points.size() / 2;
    while (middle > 1 && settings_.points[request.points[middle].point].whole() ==
                             settings_.points[request.points[middle - 1].point].whole())
        --middle;
    const std::uint64_t before = lessons_.refusals();
    Next next = Next::go_on;
    for (const auto& [begin, end] :
         {std::pair(std::size_t{0}, middle), std::pair(middle, request.points.size())})
        if (next == Next::go_on || next == Next::later)
            next = read(part_of(request, begin, end, settings_), unit_of(request).retries);
    if (next == Next::go_on && lessons_.refusals() == before)
        lessons_.cut(request.unit, request.table,
                     settings_.points[request.points[middle].point].whole().first);
    return next;
}

void RequestReader::refuse(const PlannedRequest& request, std::uint8_t code) {
    const BusExplanation why = explain_exception(request.request(unit_of(request)), code);
    const std::chrono::seconds wait = code <= 3 ? refused_long : refused_short;
    for (const PlannedPoint& planned : request.points) {
        lessons_.refuse(planned.point, settings_.points[planned.point], Clock::now(), wait);
        reports_.problem(planned.point, why.code,
                         reports_.name_of(planned.point) + ": " + why.text +
                             " The point is left out and tried again now and then; the others are read.");
    }
}

RequestReader::Next RequestReader::fail(const PlannedRequest& request, Failure failure) {
    failed_.push_back({request.unit, request.table, request.span.first});
    wasted_ += failure.cost;
    failure_ = std::move(failure);
    return Next::failed;
}

BusExplanation RequestReader::explain(const Failure& failure, const std::string& beside) const {
    const Exchange& result = failure.result;
    return result.status == Exchange::Status::exception
               ? explain_exception(failure.request, result.code)
               : explain_silence(failure.request, result, failure.timing, settings_.link, beside);
}

void RequestReader::suspect(const PlannedRequest& request, const Failure& failure) {
    for (const PlannedPoint& planned : request.points)
        lessons_.suspect(planned.point, settings_.points[planned.point]);
    const Place place{request.unit, request.table, request.span.first};
    if (request.points.size() == 1 && std::count(failed_.begin(), failed_.end(), place) > 1)
        leave_out(request.points.front().point, request, failure);
}

// What costs the line time is asked again now and then only: at most a hundredth of it, an hour at the
// longest. Something wrong that comes at once is asked for alone, behind all others.
void RequestReader::leave_out(std::uint32_t point, const PlannedRequest& request, const Failure& failure) {
    constexpr std::chrono::seconds shortest{60}, longest{3600};
    constexpr int share = 100;
    const UnitSettings& unit = unit_of(request);
    const auto blocked = line_.bus().clear_after(unit.timeout);
    const auto wait =
        std::chrono::duration_cast<std::chrono::seconds>(share * std::max(failure.cost, blocked));
    const BusExplanation why = explain(failure, answered_beside(request));
    const std::string_view code = why.code;
    const bool is_cheap = failure.cost < unit.timeout / 2 && code != "timeout" && code != "closed_instead";
    was_read_[point] = false;
    std::string text = reports_.name_of(point) + ": " + why.text;
    if (!is_cheap) {
        lessons_.refuse(point, settings_.points[point], Clock::now(), std::clamp(wait, shortest, longest));
        text += " The point is left out and tried again now and then; the others are read.";
    }
    reports_.became_clear(point, why.code);
    reports_.problem(point, why.code, text);
}

void RequestReader::on_silence(const PlannedRequest& request, const Failure& failure) {
    units_.on_silence(unit_of(request), explain(failure));
}

std::string RequestReader::answered_beside(const PlannedRequest& request) const {
    const ModbusPoint *before = nullptr, *behind = nullptr;
    for (std::size_t i = 0; i < settings_.points.size(); ++i) {
        const ModbusPoint& point = settings_.points[i];
        if (!was_read_[i] || settings_.units[point.unit].unit != unit_of(request).unit ||
            point.table != request.table)
            continue;
        if (point.span.end <= request.span.first && (!before || point.span.first > before->span.first))
            before = &point;
        if (point.span.first >= request.span.end && (!behind || point.span.first < behind->span.first))
            behind = &point;
    }
    return before || behind
               ? beside_text(request.table, before ? std::optional(before->span.first) : std::nullopt,
                             behind ? std::optional(behind->span.first) : std::nullopt)
               : std::string();
}

} // namespace things
