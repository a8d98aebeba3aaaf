// SPDX-License-Identifier: Apache-2.0
#include "polling/report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace things {

namespace {

std::optional<double> number_of(const Value& value) {
    if (const auto* b = std::get_if<bool>(&value))
        return *b ? 1.0 : 0.0;
    if (const auto* i = std::get_if<std::int64_t>(&value))
        return static_cast<double>(*i);
    if (const auto* u = std::get_if<std::uint64_t>(&value))
        return static_cast<double>(*u);
    if (const auto* d = std::get_if<double>(&value))
        return *d;
    return std::nullopt;
}

/// Integers keep their exactness: a label or a comparison must not depend on what a double can hold.
std::optional<std::int64_t> integer_of(const Value& value) {
    if (const auto* b = std::get_if<bool>(&value))
        return *b ? 1 : 0;
    if (const auto* i = std::get_if<std::int64_t>(&value))
        return *i;
    if (const auto* u = std::get_if<std::uint64_t>(&value))
        if (*u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return static_cast<std::int64_t>(*u);
    if (const auto* d = std::get_if<double>(&value))
        if (std::abs(*d) < 9.0e15 && std::trunc(*d) == *d)
            return static_cast<std::int64_t>(*d);
    return std::nullopt;
}

} // namespace

Value apply_labels(const Labels& labels, Value raw) {
    if (labels.empty())
        return raw;
    const auto number = integer_of(raw);
    for (const auto& [value, word] : labels)
        if (number && *number == value)
            return word;
    return raw;
}

std::optional<Value> remove_labels(const Labels& labels, Value value) {
    const auto* text = std::get_if<std::string>(&value);
    if (labels.empty() || text == nullptr)
        return value;
    for (const auto& [raw, word] : labels)
        if (word == *text)
            return Value(raw);
    return std::nullopt;
}

ReportFilter::ReportFilter(const Report& rules) : rules_(rules) {
    // Both mean nothing without it.
    if (rules_.deadband > 0 || rules_.heartbeat.count() > 0)
        rules_.on_change = true;
    if (rules_.window.count() <= 0)
        rules_.aggregate = Aggregate::none;
}

std::int64_t ReportFilter::window_of(std::int64_t now_ms) const {
    return now_ms / rules_.window.count();
}

bool ReportFilter::pass(const Sample& sample, std::int64_t now_ms) {
    if (!aggregates())
        return changed(sample, now_ms);
    gather(sample, now_ms);
    return false;
}

bool ReportFilter::changed(const Sample& sample, std::int64_t now_ms) {
    if (!rules_.on_change)
        return true;
    bool differs = !passed_ || *passed_ != sample.value;
    if (differs && passed_ && rules_.deadband > 0) {
        const auto before = number_of(*passed_), after = number_of(sample.value);
        differs = !before || !after || std::abs(*after - *before) > rules_.deadband;
    }
    const std::int64_t heartbeat = rules_.heartbeat.count();
    if (!differs && (heartbeat <= 0 || now_ms - passed_ms_ < heartbeat))
        return false;
    passed_ = sample.value;
    passed_ms_ = now_ms;
    return true;
}

void ReportFilter::gather(const Sample& sample, std::int64_t now_ms) {
    window_ = window_of(now_ms);
    const auto number = number_of(sample.value);
    const auto kept = kept_ ? number_of(kept_->value) : std::nullopt;
    // Text cannot be averaged: the last one stands for the window.
    const bool takes_over = !kept || !number || rules_.aggregate == Aggregate::mean ||
                            rules_.aggregate == Aggregate::last ||
                            (rules_.aggregate == Aggregate::min && *number <= *kept) ||
                            (rules_.aggregate == Aggregate::max && *number >= *kept);
    if (takes_over)
        kept_ = sample;
    if (number) {
        sum_ += *number;
        ++count_;
    }
}

std::optional<Sample> ReportFilter::due(std::int64_t now_ms, bool at_end) {
    if (!aggregates() || !kept_ || (!at_end && window_of(now_ms) == window_))
        return std::nullopt;
    Sample sample = std::move(*kept_);
    if (rules_.aggregate == Aggregate::mean && count_ > 0 && number_of(sample.value))
        sample.value = sum_ / static_cast<double>(count_);
    kept_.reset();
    sum_ = 0;
    count_ = 0;
    if (!std::holds_alternative<double>(sample.value) || std::isfinite(std::get<double>(sample.value)))
        if (changed(sample, now_ms))
            return sample;
    return std::nullopt;
}

} // namespace things
