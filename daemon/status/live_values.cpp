// SPDX-License-Identifier: Apache-2.0
#include "status/live_values.hpp"

#include "platform/json.hpp"

#include <algorithm>
#include <type_traits>
#include <unordered_set>

namespace things {

namespace {

std::optional<double> number(const Value& value) {
    return std::visit(
        [](const auto& v) -> std::optional<double> {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>)
                return std::nullopt;
            else
                return static_cast<double>(v);
        },
        value);
}

} // namespace

std::string value_text(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value))
        return *text;
    return JsonWriter().value(value).take();
}

void History::add(double value, std::int64_t boot_ms) {
    const std::int64_t slot = boot_ms / step_ms;
    // boot_ms never steps back, but readings of several threads may arrive a moment out of order.
    if (slot < newest_)
        return;
    const std::int64_t first = std::max(newest_ + 1, slot - static_cast<std::int64_t>(slots) + 1);
    for (std::int64_t s = first; s <= slot; ++s) // slots that were passed over are empty
        count_[static_cast<std::size_t>(s) % slots] = 0;
    newest_ = slot;
    const auto at = static_cast<std::size_t>(slot) % slots;
    // Beyond that the mean of the slot becomes a sliding one.
    if (count_[at] < UINT16_MAX)
        ++count_[at];
    // A slot that is used anew still holds the mean of three hours ago.
    const float before = count_[at] == 1 ? 0 : mean_[at];
    mean_[at] = before + (static_cast<float>(value) - before) / static_cast<float>(count_[at]);
}

std::vector<std::optional<double>> History::values(std::int64_t boot_ms) const {
    std::vector<std::optional<double>> out;
    out.reserve(slots);
    const std::int64_t last = boot_ms / step_ms;
    for (std::int64_t s = last - static_cast<std::int64_t>(slots) + 1; s <= last; ++s) {
        const bool kept =
            newest_ >= 0 && s >= 0 && s <= newest_ && s > newest_ - static_cast<std::int64_t>(slots);
        const auto at = static_cast<std::size_t>(std::max<std::int64_t>(s, 0)) % slots;
        out.push_back(kept && count_[at] > 0 ? std::optional<double>(mean_[at]) : std::nullopt);
    }
    return out;
}

void LiveValues::set(SeriesId series, const Value& value, std::int64_t wall_ms, std::int64_t boot_ms) {
    Last& last = values_[series];
    last.value = value;
    last.time_ms = wall_ms;
    last.problem.clear();
    if (const auto n = number(value))
        last.history.add(*n, boot_ms);
}

void LiveValues::set_problem(SeriesId series, const std::string& problem) {
    values_[series].problem = problem;
}

const LiveValues::Last* LiveValues::find(SeriesId series) const {
    const auto at = values_.find(series);
    return at == values_.end() ? nullptr : &at->second;
}

void LiveValues::keep(const std::vector<SeriesId>& series) {
    const std::unordered_set<SeriesId> wanted(series.begin(), series.end());
    std::erase_if(values_, [&wanted](const auto& entry) { return !wanted.contains(entry.first); });
}

} // namespace things
