// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/register_value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The SunSpec models that the plugin knows: common (1), inverters with integers (101-103) and floats
// (111-113), meters with integers (201-204) and floats (211-214), several MPP trackers (160). Pure. The
// points stand in sunspec_table.hpp, which is made from the device maps.
// A place is written MODEL.POINT with the names of the standard (103.W, 203.TotWhImp), and MODEL.N.POINT
// where a block repeats (160.2.DCW is the power of module 2).
namespace things {

/// Where a point is, counted from the id register of its model, and how it is read.
/// Offsets count the id and the length: the first point of a model is at 2.
struct SunspecPlace {
    std::uint16_t model = 0;
    std::uint16_t offset = 0;
    std::optional<std::uint16_t> factor; ///< offset of the scale factor
    RegisterFormat format;
    friend bool operator==(const SunspecPlace& a, const SunspecPlace& b) {
        return a.model == b.model && a.offset == b.offset;
    }
};

/// A place, or what is wrong with its name.
struct FoundPlace {
    std::optional<SunspecPlace> place;
    std::string error;
};
/// Looks at the name alone; whether a device has the model shows when its chain is walked. The error lists
/// what could have been meant.
FoundPlace find_sunspec(std::string_view name);

} // namespace things
