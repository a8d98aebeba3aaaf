// SPDX-License-Identifier: Apache-2.0
#include "p1/counter_guard.hpp"

namespace things {

bool CounterGuard::follows(const Seen& before, double amount, std::int64_t at_ms) const {
    double rise = amount - before.amount;
    double seconds = static_cast<double>(at_ms - before.at_ms) / 1000;
    return rise >= 0 && rise <= slack_ + per_second_ * seconds;
}

bool CounterGuard::accept(double amount, std::int64_t at_ms) {
    bool is_good =
        !good_ || follows(*good_, amount, at_ms) || (doubted_ && follows(*doubted_, amount, at_ms));
    if (is_good) {
        good_ = Seen{amount, at_ms};
        doubted_.reset();
    } else {
        doubted_ = Seen{amount, at_ms};
    }
    return is_good;
}

} // namespace things
