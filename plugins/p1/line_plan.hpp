// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/keys.hpp"

#include <string>
#include <vector>

// How much of its line a meter will take, before anything was read of it. Pure.
namespace things {

/// JSON lines as the contract's `plan` wants them. P1 meters send what they send: the usual telegram and
/// period of the line's speed (DSMR 4 and later where it is found out) are told, none is a request of ours.
/// In mode C a readout of usual length is counted for the shortest interval, at the speed that the meter may
/// offer; never above full load, since its true length is not known.
/// Estimates for the technician, no limit: 1300 bytes each second above 9600 baud, else 700 bytes each 10 s;
/// a readout of mode C counts as 2000 bytes.
[[nodiscard]] std::vector<std::string> plan_line(const P1Options& options,
                                                 const std::vector<P1Point>& points);

} // namespace things
