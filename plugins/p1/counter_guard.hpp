// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

// Whether a counter's value can be believed. A 16-bit checksum lets one damaged telegram of 65,536 pass and
// old meters have none, so a counter that falls, or jumps beyond what a connection can carry, waits until the
// next telegram says the same; a new meter thus costs one telegram. Pure.
namespace things {

/// Looks at values alone, in the order they came. The first value of all is believed.
class CounterGuard {
public:
    /// `amount` in the primary unit (J, m3); `per_second` and `slack`: what it may rise by.
    CounterGuard(double per_second, double slack) : per_second_(per_second), slack_(slack) {}

    /// `at_ms`: steady clock, not before the last call's. False: do not report it; the next value that
    /// follows from it is accepted, and this one stays unreported. p1 allows 1 MW and 3.6 MJ of slack, or
    /// 1000 m3/h and 10 m3.
    [[nodiscard]] bool accept(double amount, std::int64_t at_ms);

private:
    struct Seen {
        double amount = 0;
        std::int64_t at_ms = 0;
    };
    [[nodiscard]] bool follows(const Seen& before, double amount, std::int64_t at_ms) const;

    double per_second_, slack_;
    std::optional<Seen> good_, doubted_;
};

} // namespace things
