// SPDX-License-Identifier: Apache-2.0
#include "delivery/parking.hpp"

#include <algorithm>

namespace things {

namespace {

// A device that the Portal does not know yet is tried soon; one that it never will know costs 24 posts a day.
constexpr Milliseconds first_probe = minutes(1);
constexpr Milliseconds last_probe = hours(1);

} // namespace

void Parking::park(const std::string& why, bool by_content, std::int64_t now_ms, double random) {
    if (!is_parked_)
        probe_wait_ = Milliseconds(0);
    is_parked_ = true;
    is_by_content_ = by_content;
    reason_ = why;
    if (by_content && probe_wait_.count() == 0) {
        // Before the device is left alone: is it this pack, or everything?
        probe_ms_ = now_ms;
        probe_wait_ = first_probe / 2;
        return;
    }
    probe_wait_ = std::clamp(2 * probe_wait_, first_probe, last_probe);
    // Spread over the last quarter, so that devices parked together are not probed together.
    const double wait = static_cast<double>(probe_wait_.count()) * (1 - random / 4);
    probe_ms_ = now_ms + static_cast<std::int64_t>(wait);
}

void Parking::end() {
    is_parked_ = is_by_content_ = false;
    probe_wait_ = Milliseconds(0);
    reason_.clear();
}

void Parking::try_now(std::int64_t now_ms) {
    if (is_parked_)
        probe_ms_ = now_ms;
}

} // namespace things
