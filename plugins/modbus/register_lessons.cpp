// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_lessons.hpp"

#include <algorithm>

namespace things {

namespace {
constexpr std::chrono::hours longest_refusal{1};
constexpr std::size_t most_lessons = 4096; // a device that refuses at random must not fill the memory
} // namespace

const TableLessons& RegisterLessons::of(std::uint32_t unit, RegisterTable table) const {
    return tables_[unit].tables[static_cast<std::size_t>(table)];
}

TableLessons& RegisterLessons::at(std::uint32_t unit, RegisterTable table) {
    return tables_[unit].tables[static_cast<std::size_t>(table)];
}

void RegisterLessons::refuse(std::uint32_t point, const ModbusPoint& where, SteadyTime now,
                             std::chrono::seconds first) {
    Refusal& refusal = refusals_[point];
    ++refused_;
    refusal.wait = std::clamp<std::chrono::seconds>(2 * refusal.wait, first, longest_refusal);
    refusal.until = now + refusal.wait;
    refusal.on_trial = false;
    ++refusal.strikes;
    next_ = std::min(next_, refusal.until);
    forbid(where);
}

void RegisterLessons::suspect(std::uint32_t point, const ModbusPoint& where) {
    const auto [place, is_new] = refusals_.try_emplace(point);
    place->second.on_trial = true;
    if (is_new)
        forbid(where);
}

void RegisterLessons::forbid(const ModbusPoint& where) {
    TableLessons& lessons = at(where.unit, where.table);
    if (std::find(lessons.forbidden.begin(), lessons.forbidden.end(), where.whole()) ==
            lessons.forbidden.end() &&
        lessons.forbidden.size() < most_lessons)
        lessons.forbidden.push_back(where.whole());
    ++epoch_;
}

int RegisterLessons::strikes(std::uint32_t point) const {
    const auto found = refusals_.find(point);
    return found == refusals_.end() ? 0 : found->second.strikes;
}

bool RegisterLessons::accept(std::uint32_t point, const ModbusPoint& where) {
    if (refusals_.empty() || refusals_.erase(point) == 0)
        return false;
    std::erase(at(where.unit, where.table).forbidden, where.whole());
    ++epoch_;
    return true;
}

bool RegisterLessons::is_left_out(std::uint32_t point) const {
    const auto found = refusals_.find(point);
    return found != refusals_.end() && !found->second.on_trial;
}

bool RegisterLessons::is_on_trial(std::uint32_t point) const {
    const auto found = refusals_.find(point);
    return found != refusals_.end() && found->second.on_trial;
}

void RegisterLessons::retry(std::uint8_t unit, const ModbusSettings& settings) {
    for (auto& [point, refusal] : refusals_)
        if (!refusal.on_trial && settings.units[settings.points[point].unit].unit == unit) {
            refusal.on_trial = true;
            ++epoch_;
        }
}

void RegisterLessons::on_time(SteadyTime now) {
    if (now < next_)
        return;
    next_ = SteadyTime::max();
    for (auto& [point, refusal] : refusals_) {
        if (!refusal.on_trial && refusal.until <= now) {
            refusal.on_trial = true;
            ++epoch_;
        } else if (!refusal.on_trial) {
            next_ = std::min(next_, refusal.until);
        }
    }
}

void RegisterLessons::cut(std::uint32_t unit, RegisterTable table, std::uint32_t address) {
    std::vector<std::uint32_t>& cuts = at(unit, table).cuts;
    if (std::find(cuts.begin(), cuts.end(), address) != cuts.end() || cuts.size() >= most_lessons)
        return;
    cuts.push_back(address);
    ++epoch_;
}

void RegisterLessons::open_gap(std::uint32_t unit, RegisterTable table, RegisterSpan gap) {
    std::vector<RegisterSpan>& gaps = at(unit, table).open_gaps;
    if (gaps.size() >= most_lessons)
        return;
    gaps.push_back(gap);
    ++epoch_;
}

void RegisterLessons::close_gap(std::uint32_t unit, RegisterTable table, RegisterSpan gap) {
    std::vector<RegisterSpan>& gaps = tables_[unit].closed[static_cast<std::size_t>(table)];
    if (gaps.size() < most_lessons)
        gaps.push_back(gap);
    std::erase(at(unit, table).open_gaps, gap);
    ++epoch_;
}

bool RegisterLessons::is_closed(std::uint32_t unit, RegisterTable table, RegisterSpan gap) const {
    const std::vector<RegisterSpan>& gaps = tables_[unit].closed[static_cast<std::size_t>(table)];
    return std::any_of(gaps.begin(), gaps.end(),
                       [gap](RegisterSpan known) { return known.first < gap.end && gap.first < known.end; });
}

} // namespace things
