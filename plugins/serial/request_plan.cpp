// SPDX-License-Identifier: Apache-2.0
#include "serial/request_plan.hpp"

#include "link/printed_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace things {

namespace {

struct PlannedRequest {
    std::string bytes; ///< empty: these points are listened for
    std::string points;
    std::int64_t interval_ms = INT64_MAX;
};

/// Points with the same request share one answer, in the order in which they were configured.
std::vector<PlannedRequest> group(const std::vector<SerialPoint>& points) {
    std::vector<PlannedRequest> requests;
    for (const SerialPoint& point : points) {
        auto same = [&point](const PlannedRequest& request) {
            return request.bytes == point.request;
        };
        auto found = std::find_if(requests.begin(), requests.end(), same);
        if (found == requests.end())
            found = requests.insert(found, PlannedRequest{point.request, {}, INT64_MAX});
        found->points += (found->points.empty() ? "" : ",") + json_quoted(point.name);
        found->interval_ms = std::min(found->interval_ms, std::max<std::int64_t>(point.interval_ms, 1));
    }
    return requests;
}

} // namespace

std::vector<std::string> plan_requests(const SerialOptions& options, const std::vector<SerialPoint>& points) {
    const bool is_fixed = options.frame.kind == FrameKind::fixed;
    const std::size_t answer = is_fixed ? options.frame.length : assumed_answer;
    const double character = options.port.empty() ? 0 : character_ms(options.line);
    const double silence =
        options.frame.kind == FrameKind::silence ? static_cast<double>(options.silence.count()) : 0;
    std::vector<std::string> lines;
    double cycle_ms = 0, load = 0;
    std::size_t count = 0;
    for (const PlannedRequest& request : group(points)) {
        if (request.bytes.empty()) {
            lines.push_back(fmt::format(R"({{"listens_for":[{}]}})", request.points));
            continue;
        }
        const std::size_t bytes = request.bytes.size() + answer;
        const double ms =
            static_cast<double>(bytes) * character + silence + static_cast<double>(options.pause.count());
        ++count;
        cycle_ms += ms;
        load += ms / static_cast<double>(request.interval_ms);
        lines.push_back(fmt::format(
            R"({{"request":{},"points":[{}],"bytes":{},"answer":"{}","ms":{:.1f},"interval_ms":{}}})",
            json_quoted(escaped(request.bytes)), request.points, bytes, is_fixed ? "known" : "assumed", ms,
            request.interval_ms));
    }
    lines.push_back(
        fmt::format(R"({{"cycle_ms":{:.1f},"load":{:.4f},"requests":{}}})", cycle_ms, load, count));
    return lines;
}

} // namespace things
