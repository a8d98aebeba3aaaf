// SPDX-License-Identifier: Apache-2.0
#include "modbus/read_plan.hpp"

#include <algorithm>
#include <limits>

namespace things {

namespace {

bool overlap(RegisterSpan a, RegisterSpan b) {
    return a.first < b.end && b.first < a.end;
}

bool may_cross(RegisterSpan gap, const ReadLimits& limits, const TableLessons& lessons) {
    const bool open =
        gap.size() <= limits.gap ||
        std::any_of(lessons.open_gaps.begin(), lessons.open_gaps.end(),
                    [gap](RegisterSpan known) { return known.first <= gap.first && gap.end <= known.end; });
    return open && std::none_of(lessons.forbidden.begin(), lessons.forbidden.end(),
                                [gap](RegisterSpan bad) { return overlap(bad, gap); });
}

bool is_cut(RegisterSpan span, const TableLessons& lessons) {
    return std::any_of(lessons.cuts.begin(), lessons.cuts.end(),
                       [span](std::uint32_t cut) { return span.first < cut && cut < span.end; });
}

bool touches_forbidden(RegisterSpan span, const TableLessons& lessons) {
    return std::any_of(lessons.forbidden.begin(), lessons.forbidden.end(),
                       [span](RegisterSpan bad) { return overlap(bad, span); });
}

} // namespace

RegisterSpan request_span(RegisterSpan span, const ReadLimits& limits) {
    if (!limits.even)
        return span;
    RegisterSpan result{span.first & ~1U, (span.end + 1) & ~1U};
    return result;
}

// Spans sorted by their beginning are read best in runs: a span that begins between two others of one request
// either lies within it or reaches past its end, and then the later one can move over at no cost. So the best
// way to read the first k spans is the best way to read the first i, plus one request for the rest.
std::vector<PlannedRead> plan_reads(const std::vector<RegisterSpan>& wanted, RegisterTable table,
                                    const ReadLimits& limits, const LinkCost& cost,
                                    const TableLessons& lessons) {
    const std::size_t count = wanted.size();
    std::vector<double> best(count + 1, std::numeric_limits<double>::infinity());
    std::vector<PlannedRead> last(count + 1);
    best[0] = 0;
    for (std::size_t begin = 0; begin < count; ++begin) {
        RegisterSpan run = wanted[begin];
        RegisterSpan longest = run;
        for (std::size_t end = begin + 1; end <= count; ++end) {
            const RegisterSpan next = wanted[end - 1];
            if (next.first > run.end && !may_cross({run.end, next.first}, limits, lessons))
                break;
            run.end = std::max(run.end, next.end);
            if (next.size() > longest.size())
                longest = next;
            const RegisterSpan asked = request_span(run, limits);
            const bool joined = run != longest;
            if (joined && asked.size() > limits.most)
                break;
            if (joined && (is_cut(asked, lessons) || touches_forbidden(asked, lessons)))
                break;
            const double total = best[begin] + cost.read_us(table, asked.size(), limits.register_bytes);
            if (total < best[end]) {
                best[end] = total;
                last[end] = {asked, begin, end};
            }
        }
    }
    std::vector<PlannedRead> plan;
    for (std::size_t end = count; end > 0; end = last[end].begin)
        plan.push_back(last[end]);
    std::reverse(plan.begin(), plan.end());
    return plan;
}

} // namespace things
