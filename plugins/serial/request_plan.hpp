// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "serial/keys.hpp"

#include <cstddef>
#include <string>
#include <vector>

// What a serial source will ask its line for, before it does so. Pure.
namespace things {

/// An answer whose length is not configured (frame: fixed) counts as so many bytes; most are shorter.
constexpr std::size_t assumed_answer = 24;

/// JSON lines as the contract's `plan` wants them: one a request with its points, bytes and time on the wire,
/// one for points that are listened for, and the last one with cycle, load and number of requests. Over TCP
/// only what the `pause` costs is known.
/// The load counts each request at the shortest interval of its points. An estimate: retries and late answers
/// are not in it.
[[nodiscard]] std::vector<std::string> plan_requests(const SerialOptions& options,
                                                     const std::vector<SerialPoint>& points);

} // namespace things
