// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include "modbus/register_width.hpp"

#include <cstdlib>

// From the registers of an answer to readings, and what is said of single points.
namespace things {

namespace {

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

void ModbusSource::emit(const PlannedRequest& request, const Exchange& result) {
    readings_.clear();
    texts_.clear();
    texts_.reserve(2 * request.points.size()); // readings point into it
    for (const PlannedPoint& planned : request.points)
        emit_point(request, planned, result);
    host_.emit(readings_.data(), static_cast<std::uint32_t>(readings_.size()));
}

void ModbusSource::emit_point(const PlannedRequest&, const PlannedPoint& planned, const Exchange& result) {
    const ModbusPoint& point = settings_.points[planned.point];
    was_read_[planned.point] = true;
    if (lessons_.accept(planned.point, point))
        point_works(planned.point);
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
        point_problem(planned.point, "no_value",
                      point_text(planned.point) + ": " + hex_text(words) + " is " + decoded.why_not + ".");
        return;
    }
    if (point_codes_[planned.point])
        point_works(planned.point);
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

void ModbusSource::point_problem(std::uint32_t point, const char* code, const std::string& text) {
    if (point_codes_[point] && std::string_view(point_codes_[point]) != code)
        point_works(point);
    point_codes_[point] = code;
    point_texts_[point] = text;
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, code, text);
}

void ModbusSource::point_works(std::uint32_t point) {
    if (!point_codes_[point])
        return;
    host_.report(THINGS_RECOVERED, THINGS_POINT, point, point_codes_[point],
                 point_text(point) + " can be read again.");
    point_codes_[point] = nullptr;
    point_texts_.erase(point);
}

std::string ModbusSource::point_text(std::uint32_t point) const {
    const ModbusPoint& it = settings_.points[point];
    return settings_.devices[it.device] + " " + it.name;
}

} // namespace things
