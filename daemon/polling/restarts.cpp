// SPDX-License-Identifier: Apache-2.0
#include "polling/restarts.hpp"

#include <algorithm>

namespace things {

std::int64_t Restarts::after_death(std::int64_t now_ms) {
    constexpr std::int64_t window = 600'000, quarantine = 60'000, longest = 300'000;
    while (!deaths_.empty() && now_ms - deaths_.front() > window)
        deaths_.pop_front();
    deaths_.push_back(now_ms);
    if (!in_quarantine())
        return deaths_.size() == 1 ? 1000 : 2000;
    const auto over = std::min<std::size_t>(deaths_.size() - 3, 8);
    return std::min(longest, quarantine << over);
}

} // namespace things
