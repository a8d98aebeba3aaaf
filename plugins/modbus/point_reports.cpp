// SPDX-License-Identifier: Apache-2.0
#include "modbus/point_reports.hpp"

#include "things_plugin.hpp"

#include <string_view>

namespace things {

PointReports::PointReports(const PluginHost& host, const ModbusSettings& settings)
    : host_(host), settings_(settings), codes_(settings.points.size(), nullptr) {}

void PointReports::problem(std::uint32_t point, const char* code, const std::string& text) {
    if (codes_[point] && std::string_view(codes_[point]) != code)
        works(point);
    codes_[point] = code;
    texts_[point] = text;
    host_.report(THINGS_PROBLEM, THINGS_POINT, point, code, text);
}

void PointReports::works(std::uint32_t point) {
    if (!codes_[point])
        return;
    host_.report(THINGS_RECOVERED, THINGS_POINT, point, codes_[point],
                 name_of(point) + " can be read again.");
    codes_[point] = nullptr;
    texts_.erase(point);
}

bool PointReports::repeat(std::uint32_t point) const {
    if (codes_[point])
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, codes_[point], texts_.at(point));
    return codes_[point] != nullptr;
}

void PointReports::became_clear(std::uint32_t point, const char* code) {
    if (codes_[point] && std::string_view(codes_[point]) == waits)
        codes_[point] = code;
}

std::string PointReports::name_of(std::uint32_t point) const {
    const ModbusPoint& it = settings_.points[point];
    return settings_.devices[it.device] + " " + it.name;
}

} // namespace things
