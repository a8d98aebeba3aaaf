// SPDX-License-Identifier: Apache-2.0
#include "modbus/read_plan.hpp"

#include <algorithm>
#include <cstdlib>

// Any set of values, limits and lessons: everything is covered once, and joined requests keep the rules.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace things;
    if (size < 6)
        return 0;
    ReadLimits limits{1U + data[0] % 125, data[1], (data[2] & 1) != 0};
    if (limits.even)
        limits.most = std::max(limits.most & ~1U, 2U);
    TableLessons lessons;
    lessons.forbidden.push_back({data[3] * 4U, data[3] * 4U + 1});
    lessons.cuts.push_back(data[4] * 3U);
    lessons.open_gaps.push_back({data[5] * 2U, data[5] * 2U + 40});
    std::vector<RegisterSpan> wanted;
    for (std::size_t i = 6; i + 2 < size && wanted.size() < 200; i += 3) {
        const std::uint32_t first = data[i] * 257U % 2000 + data[i + 1];
        wanted.push_back({first, first + 1U + data[i + 2] % 8});
    }
    std::sort(wanted.begin(), wanted.end());
    const LinkCost cost = serial_cost({9600, 8, LineParity::none, 1}, 0, data[2] * 100.0);
    std::size_t next = 0;
    for (const PlannedRead& read : plan_reads(wanted, RegisterTable::holding, limits, cost, lessons)) {
        if (read.begin != next || read.end <= read.begin)
            std::abort();
        next = read.end;
        bool alone = false;
        for (std::size_t i = read.begin; i < read.end; ++i) {
            if (wanted[i].first < read.span.first || wanted[i].end > read.span.end)
                std::abort();
            alone = alone || request_span(wanted[i], limits) == read.span;
        }
        const bool forbidden =
            lessons.forbidden[0].first < read.span.end && read.span.first < lessons.forbidden[0].end;
        const bool cut = read.span.first < lessons.cuts[0] && lessons.cuts[0] < read.span.end;
        if (!alone && (read.span.size() > limits.most || forbidden || cut))
            std::abort();
    }
    if (next != wanted.size())
        std::abort();
    return 0;
}
