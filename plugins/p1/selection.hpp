// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/telegram.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Which value of a telegram a point asks for, and finding it. Pure.
namespace things {

/// One of obis, name and medium is given. An obis of an M-Bus device may leave its channel open
/// ("0-n:24.2.1").
struct Selection {
    std::string obis;                   ///< normalised
    std::string name;                   ///< "power", "volumeGas"
    std::string medium;                 ///< "gas"
    int channel = 0;                    ///< 0: any; of several devices the one with the newest reading
    [[nodiscard]] bool is_list() const; ///< power failures and peaks: each entry is a reading of its own
};

/// A value that was found.
/// `text` if is_text, else `number` with its unit as printed.
struct Picked {
    bool is_text = false;
    MeterNumber number;
    std::string text;
    std::optional<std::int64_t> capture; ///< Unix time at which the meter took it, where it says so
    bool is_counter = false;             ///< must not fall: energy or volume
};

/// Every valid value for the selection: none or one, or the entries of a list, oldest first. Where a meter
/// sends no total, energyImport and energyExport are the sums of its tariffs; powerNet is import less export.
/// An entry that the meter marks as not valid is no value; with none left the result is empty, and the caller
/// cannot tell it from an object that is missing.
[[nodiscard]] std::vector<Picked> pick(const Telegram& telegram, const Selection& selection);

/// Names that can be asked for beside those of the objects: powerNet.
[[nodiscard]] bool is_derived_name(const std::string& name);

} // namespace things
