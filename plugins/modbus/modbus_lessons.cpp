// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include <algorithm>

// What a poll learns of a device beyond its values: which registers it does not have, where it does not read
// across, and where it does.
namespace things {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds refused_long{3600}; // a register that is not there
constexpr std::chrono::seconds refused_short{60};  // a device that failed at it
constexpr std::chrono::seconds gap_trial_pause{10};
constexpr std::uint64_t polls_before_gap_trial = 5;

} // namespace

// Halves a refused request until the points that the device does not have stand alone.
ModbusSource::Next ModbusSource::narrow(const PlannedRequest& request, std::uint8_t code) {
    const RegisterSpan first = settings_.points[request.points.front().point].whole();
    const bool single =
        std::all_of(request.points.begin(), request.points.end(), [&](const PlannedPoint& planned) {
            return settings_.points[planned.point].whole() == first;
        });
    constexpr std::uint8_t illegal_function = 1;
    if (single || code == illegal_function) {
        refuse(request, code);
        return Next::go_on;
    }
    std::size_t middle = request.points.size() / 2;
    while (middle > 1 && settings_.points[request.points[middle].point].whole() ==
                             settings_.points[request.points[middle - 1].point].whole())
        --middle;
    const std::uint64_t before = lessons_.refusals();
    Next next = Next::go_on;
    for (const auto& [begin, end] :
         {std::pair(std::size_t{0}, middle), std::pair(middle, request.points.size())})
        if (next == Next::go_on || next == Next::later)
            next = read(part_of(request, begin, end, settings_), unit_of(request).retries);
    if (next == Next::go_on && lessons_.refusals() == before)
        lessons_.cut(request.unit, request.table,
                     settings_.points[request.points[middle].point].whole().first);
    return next;
}

void ModbusSource::refuse(const PlannedRequest& request, std::uint8_t code) {
    const BusExplanation why = explain_exception(request.request(unit_of(request)), code);
    const std::chrono::seconds wait = code <= 3 ? refused_long : refused_short;
    for (const PlannedPoint& planned : request.points) {
        lessons_.refuse(planned.point, settings_.points[planned.point], Clock::now(), wait);
        point_problem(planned.point, why.code,
                      point_text(planned.point) + ": " + why.text +
                          " The point is left out and tried again now and then; the others are read.");
    }
}

// Where a device was told nothing about gaps, one is tried now and then: if two requests of it could be one,
// and it reads across, they will be.
void ModbusSource::try_gap(const PollPlan& plan) {
    const SteadyTime now = Clock::now();
    if (polls_ < polls_before_gap_trial || now < next_gap_trial_ || is_over())
        return;
    for (std::size_t i = 0; i + 1 < plan.size(); ++i) {
        const PlannedRequest &a = plan[i], &b = plan[i + 1];
        const UnitSettings& unit = unit_of(a);
        const RegisterSpan joined{a.span.first, std::max(a.span.end, b.span.end)};
        const RegisterSpan gap{a.span.end, b.span.first};
        const LinkCost cost = bus_.cost(unit.pause);
        if (a.unit != b.unit || a.table != b.table || unit.gap || !is_alive(a) ||
            b.span.first <= a.span.end || joined.size() > unit.limits(a.table).most ||
            lessons_.is_closed(a.unit, a.table, gap) ||
            cost.read_us(a.table, joined.size(), unit.register_bytes) >=
                cost.read_us(a.table, a.span.size(), unit.register_bytes) +
                    cost.read_us(a.table, b.span.size(), unit.register_bytes))
            continue;
        next_gap_trial_ = now + gap_trial_pause;
        const PlannedRequest trial{a.unit, a.table, joined, {}, false};
        const Exchange result = ask(trial.request(unit), timing_of(unit, 0));
        if (result.status == Exchange::Status::answered)
            lessons_.open_gap(a.unit, a.table, gap);
        else if (result.status != Exchange::Status::lost)
            lessons_.close_gap(a.unit, a.table, gap);
        return;
    }
}

} // namespace things
