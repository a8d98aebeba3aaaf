// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/verdict.hpp"

#include <cstdint>
#include <string>

// An answer of the platform in words that a technician can act on. Pure.
namespace things {

/// What is known besides the answer when it is explained.
struct Circumstances {
    std::string host;
    std::string device;
    std::string dvnuuid;
    std::int64_t now_wall_ms = 0;
    bool is_clock_plausible = true;
};

/// An answer for a technician: what the platform said, the likely cause, what to do.
struct Explanation {
    std::string answer, cause, remedy; ///< whole sentences; the last two empty if all is well
    [[nodiscard]] std::string text() const;
};
[[nodiscard]] Explanation explain(const Answer& answer, const Circumstances& around);

} // namespace things
