// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/driver.hpp"
#include "polling/report.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Where what a plugin emitted becomes readings, or is refused: an index that is no point, a time that cannot
// be, more than anybody could have asked for. Applies labels and report rules. Pure but for the stamp it is
// given; its source's thread only.
namespace things {

/// The allowance is four times what the intervals ask for, plus 1,000 a second, over five seconds: far above
/// any honest plugin, and far below what would fill the queue.
class Intake {
public:
    explicit Intake(const SourceWork& work);

    /// `readings` are in the order in which they came, aggregates that ended meanwhile among them.
    struct Result {
        std::vector<PointReading> readings;
        std::uint64_t refused = 0; ///< garbage
        std::uint64_t flood = 0;   ///< more than the allowance
        std::string why;           ///< of the last one refused
    };
    /// `now_ms`: CLOCK_BOOTTIME; `stamp`: for readings without a time of their own. `by_hand`: a reading of
    /// this point was asked for by a person and does not go into the queue.
    [[nodiscard]] Result take(std::vector<RawReading> raw, std::int64_t now_ms, const Stamp& stamp,
                              std::optional<std::uint32_t> by_hand = std::nullopt);
    /// Aggregates whose window has ended; all of them at the end of the source.
    [[nodiscard]] std::vector<PointReading> due(std::int64_t now_ms, bool at_end = false);
    /// How many points have an unfinished window.
    [[nodiscard]] std::uint64_t held() const;
    [[nodiscard]] bool aggregates() const { return !aggregating_.empty(); }
    /// Throws std::out_of_range for an index that is no point.
    [[nodiscard]] const Labels& labels(std::uint32_t point) const { return points_.at(point).labels; }

private:
    struct Point {
        Labels labels;
        ReportFilter filter;
    };
    /// False: there is nothing left of the allowance at this moment.
    [[nodiscard]] bool spend(std::int64_t now_ms);

    std::vector<Point> points_;
    std::vector<std::uint32_t> aggregating_;
    double rate_ = 0, allowance_ = 0; ///< readings a second; readings that may come now
    std::int64_t spent_ms_ = 0;
};

} // namespace things
