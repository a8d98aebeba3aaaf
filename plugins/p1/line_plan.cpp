// SPDX-License-Identifier: Apache-2.0
#include "p1/line_plan.hpp"

#include "link/printed_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace things {

namespace {

struct Usual {
    int bytes, period_ms;
};
/// Three phases, M-Bus meters and a failure log; one a second as of DSMR 5, before one every ten.
constexpr Usual fast{1300, 1000}, slow{700, 10'000};
constexpr int usual_readout = 2000;
constexpr double sign_on_bytes = 40, pauses_ms = 600; // request, identification, acknowledgement
constexpr double wake_up_ms = 5400;

std::string summary(double ms, double load, int requests) {
    return fmt::format(R"({{"cycle_ms":{:.1f},"load":{:.4f},"requests":{}}})", ms, load, requests);
}

} // namespace

std::vector<std::string> plan_line(const P1Options& options, const std::vector<P1Point>& points) {
    std::int64_t interval = INT64_MAX;
    for (const P1Point& point : points)
        interval = std::min(interval, std::max<std::int64_t>(point.interval_ms, 1));
    if (options.is_mode_c) {
        const double slow_ms = character_ms({300, 7, LineParity::even, 1});
        const double ms = sign_on_bytes * slow_ms + pauses_ms + (options.wake_up ? wake_up_ms : 0) +
                          usual_readout * character_ms({options.max_baud, 7, LineParity::even, 1});
        return {fmt::format(R"({{"readout":"usual","bytes":{},"baud":{},"ms":{:.0f},"interval_ms":{}}})",
                            usual_readout, options.max_baud, ms, interval),
                summary(ms, std::min(1.0, ms / static_cast<double>(interval)), 1)};
    }
    const int baud = options.baud.value_or(115200);
    const Usual& usual = baud > 9600 ? fast : slow;
    const auto line = with_frame({baud}, options.frame.value_or(baud > 9600 ? "8N1" : "7E1"));
    const double ms = options.port.empty() || !line ? 0 : usual.bytes * character_ms(*line);
    return {fmt::format(R"({{"listens_for":"telegrams","bytes":{},"baud":{},"ms":{:.0f},"period_ms":{}}})",
                        usual.bytes, baud, ms, usual.period_ms),
            summary(ms, std::min(1.0, ms / usual.period_ms), 0)};
}

} // namespace things
