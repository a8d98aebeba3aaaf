// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_settings.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// What is said of single points: the problem that each has, told when it comes, changes and ends. Owned by
// the source, used on its thread.
namespace things {

class PluginHost;

/// Of a point that is to be asked alone, and was not yet.
constexpr const char* waits = "waits";

class PointReports {
public:
    PointReports(const PluginHost& host, const ModbusSettings& settings);
    /// Ends another problem that the point had. `code` is a literal.
    void problem(std::uint32_t point, const char* code, const std::string& text);
    void works(std::uint32_t point);
    /// Tells the problem once more, to a caller that asks for the point; false: it has none.
    bool repeat(std::uint32_t point) const;
    /// The reason became clear: nothing recovered in between.
    void became_clear(std::uint32_t point, const char* code);
    /// Device and point.
    [[nodiscard]] std::string name_of(std::uint32_t point) const;

private:
    const PluginHost& host_;
    const ModbusSettings& settings_;
    std::vector<const char*> codes_; ///< the problem that each point has; null: none
    std::map<std::uint32_t, std::string> texts_;
};

} // namespace things
