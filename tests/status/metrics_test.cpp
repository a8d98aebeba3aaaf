// SPDX-License-Identifier: Apache-2.0
#include "status/metrics.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

Snapshot example() {
    Snapshot view;
    view.version = "1.2.3";
    view.started_ms = 1'700'000'000'500;
    view.queue.read = 12;
    view.queue.accepted = 9;
    view.queue.dropped["full"] = 2;
    view.uploads.answers["delivered"] = 3;
    view.sources.push_back({});
    view.sources[0].name = "plc";
    view.sources[0].plugin = "modbus";
    view.sources[0].missed = 4;
    view.devices.push_back({});
    view.devices[0].name = "boiler \"1\"";
    view.devices[0].waiting = 7;
    return view;
}

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

} // namespace

TEST_CASE("metrics are OpenMetrics: counters' families without _total, an end mark, escaped labels") {
    const std::string text = open_metrics(example());
    CHECK(has_line(text, "# TYPE things_gateway_readings_read counter"));
    CHECK(has_line(text, "# HELP things_gateway_readings_read Readings taken from the plugins."));
    CHECK(has_line(text, "things_gateway_readings_read_total 12"));
    CHECK(has_line(text, "things_gateway_readings_dropped_total{reason=\"full\"} 2"));
    CHECK(has_line(text, "things_gateway_uploads_total{verdict=\"delivered\"} 3"));
    CHECK(has_line(text, "things_gateway_source_missed_ticks_total{source=\"plc\",plugin=\"modbus\"} 4"));
    CHECK(has_line(text, "things_gateway_device_queue_readings{device=\"boiler \\\"1\\\"\"} 7"));
    CHECK(has_line(text, "things_gateway_start_timestamp_seconds 1700000000.5"));
    CHECK(text.ends_with("\n# EOF\n"));
}

TEST_CASE("every sample of the metrics stands below its own type line") {
    const std::string text = open_metrics(example());
    std::string family;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = text.find('\n', at);
        const std::string line = text.substr(at, end - at);
        at = end + 1;
        if (line.starts_with("# TYPE "))
            family = line.substr(7, line.find(' ', 7) - 7);
        else if (!line.starts_with("#"))
            CHECK_MESSAGE(line.starts_with(family), line, " below ", family);
    }
}
