// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/open_bus.hpp"
#include "cli/print.hpp"
#include "cli/queue_owner.hpp"

#include "gateway/read_report.hpp"
#include "platform/json.hpp"
#include "status/snapshot.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <set>

namespace things::cli {

namespace {

/// Whether all named points exist; prints which do not.
bool are_known(const DeviceConfig& device, const std::vector<std::string>& names) {
    bool all = true;
    for (const std::string& name : names)
        if (std::none_of(device.points.begin(), device.points.end(),
                         [&name](const PointConfig& p) { return p.name == name; })) {
            print_line(stderr, "error: device \"{}\" has no point \"{}\"", device.name, name);
            all = false;
        }
    return all;
}

std::string request_of(const ReadOptions& options) {
    JsonWriter json;
    json.object().member("device", options.device).key("points").array();
    for (const std::string& point : options.points)
        json.value(point);
    return json.end().end().take();
}

std::string read_by_hand(const Config& config, PluginDirectory& plugins, const DeviceConfig& device,
                         const ReadOptions& options) {
    const auto is_wanted = [&options](const PointConfig& point) {
        return options.points.empty() ? !point.write_only
                                      : std::find(options.points.begin(), options.points.end(), point.name) !=
                                            options.points.end();
    };
    std::set<std::string> sources;
    for (const PointConfig& point : device.points)
        if (is_wanted(point))
            sources.insert(point.source.empty() ? device.source : point.source);
    const auto wanted = [&sources](const SourceConfig& source) {
        return sources.contains(source.name);
    };
    give_up_root(config, wanted);
    OpenBus bus(config, plugins, wanted);
    std::vector<PointResult> results;
    for (const PointConfig& point : device.points)
        if (is_wanted(point))
            results.push_back({&point, bus.read(device.name, point.name)});
    return read_report(device, results, SystemClock().wall_ms());
}

/// Prints the report as lines; false if a point could not be read.
bool print_report(const std::string& report, bool senml) {
    simdjson::dom::parser parser;
    simdjson::dom::element root = parser.parse(report);
    bool ok = true;
    for (const simdjson::dom::element point : root["points"]) {
        const std::string_view error = point["error"], name = point["name"], unit = point["unit"];
        const std::string_view raw = point["raw"];
        if (!error.empty()) {
            ok = false;
            print_line(stderr, "{}: {}", name, error);
            continue;
        }
        if (senml)
            continue;
        const simdjson::dom::element value = point["value"];
        const std::string text =
            value.is_string() ? std::string(std::string_view(value)) : simdjson::minify(value);
        print_line("{:<24} {:>16} {:<6} {:<24} {:.1f} ms", name, text, unit, raw,
                   double(point["duration_ms"]));
    }
    const std::string_view pack = root["senml"];
    if (senml && !pack.empty())
        fmt::print("{}\n", printable_json(pack));
    return ok;
}

} // namespace

int read(const Common& common, const ReadOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    const DeviceConfig* device = find_device(*config, options.device);
    if (!device || !are_known(*device, options.points))
        return usage;
    DaemonAnswer answer = ask(*config, "read", request_of(options), minutes(2));
    if (answer.is_running && answer.exit_code != done)
        return answer.exit_code;
    const std::string report =
        answer.is_running ? answer.result : read_by_hand(*config, plugins, *device, options);
    if (common.json)
        fmt::print("{}\n", report);
    const bool ok = common.json ? report.find(R"("value":null)") == std::string::npos
                                : print_report(report, options.senml);
    return ok ? done : unavailable;
}

} // namespace things::cli
