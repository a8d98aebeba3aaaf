// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"
#include "status/snapshot.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace things {

/// Three hours of one number in slots of two minutes, each the mean of what fell into it. 400 bytes. Loop
/// only.
class History {
public:
    static constexpr std::int64_t step_ms = 120'000;
    static constexpr std::size_t slots = 90;
    /// `boot_ms` never steps; a slot that nothing fell into stays empty.
    /// A value of a slot that is over already is left out. Means are floats: for a chart, not for accounts.
    void add(double value, std::int64_t boot_ms);
    /// Oldest first, the last one is the slot of `boot_ms`.
    /// Always `slots` many.
    [[nodiscard]] std::vector<std::optional<double>> values(std::int64_t boot_ms) const;

private:
    std::array<float, slots> mean_{};
    std::array<std::uint16_t, slots> count_{};
    std::int64_t newest_ = -1; ///< slot number of the newest value
};

/// The last value of every point and its history, for the page and the API. Bounded by the configuration.
/// Loop only.
class LiveValues {
public:
    struct Last {
        std::optional<Value> value;
        std::int64_t time_ms = 0;
        std::string problem;
        History history;
    };
    /// `series` is the point's in the queue; its problem is over. `wall_ms` is shown, `boot_ms` places the
    /// value in the history; texts have no history.
    void set(SeriesId series, const Value& value, std::int64_t wall_ms, std::int64_t boot_ms);
    /// Why the point cannot be read; empty: it can again.
    void set_problem(SeriesId series, const std::string& problem);
    /// Null if nothing is known of it.
    /// Valid until the next keep().
    [[nodiscard]] const Last* find(SeriesId series) const;
    /// Forgets all that are not among these, after a reload.
    void keep(const std::vector<SeriesId>& series);

private:
    std::unordered_map<SeriesId, Last> values_;
};

} // namespace things
