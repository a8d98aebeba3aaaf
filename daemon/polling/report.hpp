// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/reading.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What of a point's readings goes into the queue (`labels` and `report` of its configuration). Pure: the time
// is an argument, milliseconds of CLOCK_BOOTTIME. One object a point; its source's thread only.
namespace things {

using Labels = std::vector<std::pair<std::int64_t, std::string>>;

/// The word for a raw value; the value itself if it has none.
/// Compared as integers: 3, 3.0 and (for 1 and 0) a truth value find the same label.
[[nodiscard]] Value apply_labels(const Labels& labels, Value raw);
/// The raw value for a word; nothing if the word is none of the labels. Other values stay as they are.
[[nodiscard]] std::optional<Value> remove_labels(const Labels& labels, Value value);

/// A value and when it was taken.
struct Sample {
    Value value;
    Stamp stamp;
};

/// `on_change` with `deadband` lets a value pass that differs by more than the deadband from the last one
/// that passed, and after `heartbeat` any value; a deadband or heartbeat alone means on_change too.
/// `aggregate` makes one sample of each window (windows lie on the grid of the clock) and the rules above
/// then apply to it.
/// The difference is taken from the last value that passed, not from the last one read, so that a slow drift
/// is seen. Text and truth values change or do not; the deadband is for numbers.
class ReportFilter {
public:
    explicit ReportFilter(const Report& rules);

    /// True: this reading goes into the queue. Always false with an aggregate: then `due` hands it out.
    [[nodiscard]] bool pass(const Sample& sample, std::int64_t now_ms);
    /// The aggregate of a window that has ended; ask before `pass` and now and then. `at_end`: of the present
    /// window too (the source stops).
    /// None also if the aggregate did not change and the rules hold it back. A mean has the stamp of the last
    /// sample, a minimum or maximum that of the sample itself.
    [[nodiscard]] std::optional<Sample> due(std::int64_t now_ms, bool at_end = false);
    /// Whether there is something of the present window.
    [[nodiscard]] bool holds() const { return count_ > 0 || kept_.has_value(); }
    [[nodiscard]] bool aggregates() const { return rules_.aggregate != Aggregate::none; }

private:
    [[nodiscard]] bool changed(const Sample& sample, std::int64_t now_ms);
    void gather(const Sample& sample, std::int64_t now_ms);
    [[nodiscard]] std::int64_t window_of(std::int64_t now_ms) const;

    Report rules_;
    std::optional<Value> passed_;
    std::int64_t passed_ms_ = 0;
    std::optional<Sample> kept_; ///< minimum, maximum or last of the present window
    double sum_ = 0;
    std::uint64_t count_ = 0;
    std::int64_t window_ = 0;
};

} // namespace things
