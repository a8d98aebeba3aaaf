// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>

namespace things {

/// How long to wait before a plugin that died is started again: 1 s, 2 s, and from the third death within ten
/// minutes on (quarantine) 60 s, doubling to 5 minutes. Pure; CLOCK_BOOTTIME milliseconds.
class Restarts {
public:
    /// Notes a death; returns the wait in milliseconds.
    std::int64_t after_death(std::int64_t now_ms);
    /// As of the last death: deaths are forgotten only when the next one is noted.
    [[nodiscard]] bool in_quarantine() const { return deaths_.size() >= 3; }

private:
    std::deque<std::int64_t> deaths_; ///< of the last ten minutes
};

} // namespace things
