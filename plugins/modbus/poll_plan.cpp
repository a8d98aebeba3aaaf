// SPDX-License-Identifier: Apache-2.0
#include "modbus/poll_plan.hpp"

#include <algorithm>
#include <tuple>

namespace things {

namespace {

struct Wanted {
    std::uint32_t unit = 0;
    RegisterTable table = RegisterTable::holding;
    RegisterSpan span;
    std::uint32_t point = 0;
};

bool same_table(const Wanted& a, const Wanted& b) {
    return a.unit == b.unit && a.table == b.table;
}

PlannedPoint planned(std::uint32_t index, const ModbusPoint& point, RegisterSpan span) {
    return {index, point.span.first - span.first, point.factor.value_or(span.first) - span.first};
}

void append(PollPlan& plan, const std::vector<Wanted>& wanted, std::size_t begin, std::size_t end,
            RegisterSpan span, const ModbusSettings& settings) {
    PlannedRequest request{wanted[begin].unit, wanted[begin].table, span, {}, false};
    for (std::size_t i = begin; i < end; ++i)
        request.points.push_back(planned(wanted[i].point, settings.points[wanted[i].point], span));
    plan.push_back(std::move(request));
}

void plan_table(PollPlan& plan, const std::vector<Wanted>& wanted, const ModbusSettings& settings,
                const RegisterLessons& lessons, const CostOf& cost) {
    const UnitSettings& unit = settings.units[wanted[0].unit];
    const RegisterTable table = wanted[0].table;
    std::vector<RegisterSpan> spans;
    spans.reserve(wanted.size());
    for (const Wanted& w : wanted)
        spans.push_back(w.span);
    const ReadLimits limits = unit.limits(table);
    for (const PlannedRead& read :
         plan_reads(spans, table, limits, cost(unit.pause), lessons.of(wanted[0].unit, table)))
        append(plan, wanted, read.begin, read.end, read.span, settings);
}

} // namespace

BusRequest read_request(const UnitSettings& unit, RegisterTable table, RegisterSpan span) {
    return {unit.unit,
            read_function(table),
            static_cast<std::uint16_t>(span.first),
            static_cast<std::uint16_t>(span.size()),
            {},
            unit.register_bytes};
}

BusRequest PlannedRequest::request(const UnitSettings& settings) const {
    return read_request(settings, table, span);
}

PollPlan make_poll_plan(const ModbusSettings& settings, const std::vector<std::uint32_t>& points,
                        const RegisterLessons& lessons, const CostOf& cost) {
    std::vector<Wanted> wanted, trials;
    for (const std::uint32_t index : points) {
        if (lessons.is_left_out(index))
            continue;
        const ModbusPoint& point = settings.points[index];
        (lessons.is_on_trial(index) ? trials : wanted)
            .push_back({point.unit, point.table, point.whole(), index});
    }
    std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
        return std::tie(a.unit, a.table, a.span, a.point) < std::tie(b.unit, b.table, b.span, b.point);
    });
    PollPlan plan;
    for (std::size_t begin = 0; begin < wanted.size();) {
        std::size_t end = begin + 1;
        while (end < wanted.size() && same_table(wanted[begin], wanted[end]))
            ++end;
        plan_table(plan,
                   {wanted.begin() + static_cast<std::ptrdiff_t>(begin),
                    wanted.begin() + static_cast<std::ptrdiff_t>(end)},
                   settings, lessons, cost);
        begin = end;
    }
    for (std::size_t i = 0; i < trials.size(); ++i) {
        append(plan, trials, i, i + 1,
               request_span(trials[i].span, settings.units[trials[i].unit].limits(trials[i].table)),
               settings);
        plan.back().is_trial = true;
    }
    return plan;
}

PlannedRequest part_of(const PlannedRequest& request, std::size_t begin, std::size_t end,
                       const ModbusSettings& settings) {
    RegisterSpan span = settings.points[request.points[begin].point].whole();
    for (std::size_t i = begin; i < end; ++i) {
        const RegisterSpan next = settings.points[request.points[i].point].whole();
        span = {std::min(span.first, next.first), std::max(span.end, next.end)};
    }
    span = request_span(span, settings.units[request.unit].limits(request.table));
    PlannedRequest part{request.unit, request.table, span, {}, request.is_trial};
    for (std::size_t i = begin; i < end; ++i) {
        const std::uint32_t index = request.points[i].point;
        part.points.push_back(planned(index, settings.points[index], span));
    }
    return part;
}

} // namespace things
