// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/verdict.hpp"

#include <cstdint>
#include <string>

// An answer of the platform in words that a technician can act on. Pure.
namespace things {

/// What is known besides the answer when it is explained.
/// `is_clock_plausible` turns a certificate that is not valid into a clock that is wrong; `now_wall_ms` is
/// compared with the platform's Date.
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
    /// The three, one after the other.
    [[nodiscard]] std::string text() const;
};
/// Never empty, not even for an answer that is none. No secret and no token is in it; what the platform or
/// the library said is, up to 200 characters of a redirect's target.
[[nodiscard]] Explanation explain(const Answer& answer, const Circumstances& around);

} // namespace things
