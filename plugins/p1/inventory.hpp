// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/telegram.hpp"

#include <string>
#include <vector>

namespace things {

/// What a telegram says, for a technician who chooses points: one JSON object each, such as
///   {"obis":"1-0:1.7.0","name":"power","value":0.405,"unit":"kW"}
/// The first one is about the meter itself. Pure.
/// Identifiers and texts of the meter are in it: for the technician's eyes, never for the log.
[[nodiscard]] std::vector<std::string> list_objects(const Telegram& telegram);

} // namespace things
