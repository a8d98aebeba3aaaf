// SPDX-License-Identifier: Apache-2.0
#include "config/summary.hpp"

#include "config/scalar.hpp"
#include "config/words.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

constexpr double freemium_messages = 300; // a device and day, protocol.md 1.6

struct SourceCount {
    std::size_t devices = 0, points = 0;
};

SourceCount count_source(const Config& config, const std::string& source) {
    SourceCount count;
    for (const DeviceConfig& device : config.devices) {
        const auto is_here = [&source](const PointConfig& point) {
            return point.source == source;
        };
        const auto points = std::count_if(device.points.begin(), device.points.end(), is_here);
        count.points += static_cast<std::size_t>(points);
        count.devices += points > 0 ? 1 : 0;
    }
    return count;
}

std::size_t count_points(const Config& config) {
    std::size_t points = 0;
    for (const DeviceConfig& device : config.devices)
        points += device.points.size();
    return points;
}

const SourcePlan* find_plan(const std::vector<SourcePlan>& plans, const std::string& source) {
    const auto same = [&source](const SourcePlan& plan) {
        return plan.source == source;
    };
    const auto found = std::find_if(plans.begin(), plans.end(), same);
    return found == plans.end() ? nullptr : &*found;
}

std::string counted(std::uint64_t count, const char* word) {
    return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string shown(const Setting& setting) {
    if (setting.secret)
        return "(secret)";
    const auto* text = std::get_if<std::string>(&setting.value);
    return text ? *text : yaml_scalar(setting.value);
}

// Settings as written, for a person who compares them with the wiring: "port=/dev/ttyUSB0 baud=9600".
std::string settings_text(const std::vector<Setting>& settings) {
    std::string out;
    for (const Setting& setting : settings)
        if (setting.items.empty() || setting.secret)
            out += fmt::format("{}{}={}", out.empty() ? "" : " ", setting.key, shown(setting));
    return out;
}

std::string source_lines(const Config& config, const std::vector<SourcePlan>& plans, bool with_plan) {
    std::string out = "Sources\n";
    for (const SourceConfig& source : config.sources) {
        const SourceCount count = count_source(config, source.name);
        out += fmt::format("  {} ({}): {}, {}\n", source.name, source.plugin,
                           counted(count.devices, "device"), counted(count.points, "point"));
        const std::string settings = settings_text(source.settings);
        if (!settings.empty())
            out += fmt::format("    {}\n", settings);
        if (!source.writes || !config.writes)
            out += "    read only: writes are off\n";
        const SourcePlan* plan = find_plan(plans, source.name);
        if (!plan)
            continue;
        out += fmt::format("    plan: {} a cycle", counted(plan->requests, "request"));
        if (plan->cycle_ms > 0)
            out += fmt::format(", predicted {:.0f} ms, load {:.1f} %", plan->cycle_ms, plan->load * 100);
        out += plan->load > 1 ? " - more than the line can carry; readings will come more slowly\n" : "\n";
        for (std::size_t i = 0; with_plan && i < plan->lines.size(); ++i)
            out += fmt::format("      {}\n", plan->lines[i]);
    }
    return out;
}

std::string point_line(const DeviceConfig& device, const PointConfig& point) {
    std::string out = fmt::format("    {}{}{}  {}{}  {}", point.name, point.unit.empty() ? "" : " in ",
                                  point.unit, point.write_only ? "never read" : "every ",
                                  point.write_only ? "" : duration_text(point.interval.count()),
                                  settings_text(point.settings));
    if (point.source != device.source)
        out += fmt::format(" source={}", point.source);
    if (point.writable)
        out += point.write_only ? "  write only" : "  writable";
    if (point.writable && point.writable->momentary)
        out += ", momentary";
    if (point.writable && (point.writable->min || point.writable->max))
        out += fmt::format(" {} to {}", point.writable->min ? number_text(*point.writable->min) : "any",
                           point.writable->max ? number_text(*point.writable->max) : "any");
    return out + "\n";
}

std::string device_lines(const Config& config, const Traffic& traffic, bool list_points) {
    std::string out = "Devices\n";
    for (std::size_t i = 0; i < config.devices.size(); ++i) {
        const DeviceConfig& device = config.devices[i];
        const DeviceTraffic& sends = traffic.devices[i];
        out += fmt::format("  {} ({}) on {}: {}{}; a day {:.0f} readings in {:.0f} uploads, {} a month\n",
                           device.name, device.dvnuuid,
                           device.source.empty() ? "several sources" : device.source,
                           counted(device.points.size(), "point"),
                           device.profile.empty() ? "" : fmt::format(" of profile {}", device.profile),
                           sends.readings_per_day, sends.uploads_per_day, bytes_text(sends.bytes_per_month));
        for (std::size_t p = 0; list_points && p < device.points.size(); ++p)
            out += point_line(device, device.points[p]);
    }
    return out;
}

std::string total_lines(const Config& config, const Traffic& traffic) {
    std::string out = "In all\n";
    out += fmt::format("  {:.0f} readings and {:.0f} uploads a day to {}\n", traffic.readings_per_day,
                       traffic.uploads_per_day, config.things.url);
    out += fmt::format("  {} of data a month\n", bytes_text(traffic.bytes_per_month));
    out += fmt::format("  to flash a day: {}, {} while the platform is out of reach\n",
                       bytes_text(traffic.flash_per_day_online), bytes_text(traffic.flash_per_day_outage));
    const auto many =
        std::count_if(traffic.devices.begin(), traffic.devices.end(),
                      [](const DeviceTraffic& device) { return device.uploads_per_day > freemium_messages; });
    if (many > 0)
        out += fmt::format(
            "  {} more than the 300 messages a day of a Freemium account; with things.min_interval: 5m "
            "none would\n",
            many == 1 ? "1 device sends" : fmt::format("{} devices send", many));
    return out;
}

std::string json_list(const std::vector<std::string>& items) {
    return fmt::format("[{}]", fmt::join(items, ","));
}

std::string plan_json(const SourcePlan& plan) {
    return fmt::format(R"({{"requests":{},"cycle_ms":{},"load":{},"lines":{}}})", plan.requests,
                       plan.cycle_ms, plan.load, json_list(plan.rows));
}

std::string point_json(const PointConfig& point) {
    return fmt::format(R"({{"name":{},"unit":{},"source":{},"interval_ms":{},"writable":{}}})",
                       json_text(point.name), point.unit.empty() ? "null" : json_text(point.unit),
                       json_text(point.source), point.interval.count(), point.writable ? "true" : "false");
}

std::string device_json(const DeviceConfig& device, const DeviceTraffic& traffic) {
    std::vector<std::string> points;
    for (const PointConfig& point : device.points)
        points.push_back(point_json(point));
    return fmt::format(
        R"({{"name":{},"dvnuuid":{},"source":{},"profile":{},"points":{},"readings_per_day":{:.0f},)"
        R"("uploads_per_day":{:.0f},"bytes_per_month":{:.0f}}})",
        json_text(device.name), json_text(device.dvnuuid),
        device.source.empty() ? "null" : json_text(device.source),
        device.profile.empty() ? "null" : json_text(device.profile), json_list(points),
        traffic.readings_per_day, traffic.uploads_per_day, traffic.bytes_per_month);
}

} // namespace

std::string summary_text(const Config& config, const std::vector<SourcePlan>& plans, SummaryDetail detail) {
    const Traffic traffic = estimate_traffic(config);
    std::string out =
        fmt::format("{}: {}, {}, {}\n", config.file.string(), counted(config.sources.size(), "source"),
                    counted(config.devices.size(), "device"), counted(count_points(config), "point"));
    if (!config.writes)
        out += "Writes are off for the whole gateway\n";
    return out + source_lines(config, plans, detail.plan) + device_lines(config, traffic, detail.points) +
           total_lines(config, traffic);
}

std::string summary_json(const Config& config, const std::vector<SourcePlan>& plans) {
    const Traffic traffic = estimate_traffic(config);
    std::vector<std::string> sources, devices;
    for (const SourceConfig& source : config.sources) {
        const SourceCount count = count_source(config, source.name);
        const SourcePlan* plan = find_plan(plans, source.name);
        sources.push_back(
            fmt::format(R"({{"name":{},"plugin":{},"devices":{},"points":{},"writes":{},"plan":{}}})",
                        json_text(source.name), json_text(source.plugin), count.devices, count.points,
                        source.writes && config.writes, plan ? plan_json(*plan) : "null"));
    }
    for (std::size_t i = 0; i < config.devices.size(); ++i)
        devices.push_back(device_json(config.devices[i], traffic.devices[i]));
    return fmt::format(
               R"({{"file":{},"url":{},"writes":{},"sources":{},"devices":{},"points":{},"readings_per_day":{:.0f},)"
               R"("uploads_per_day":{:.0f},"bytes_per_month":{:.0f},"flash_bytes_per_day":{{"online":{:.0f},)"
               R"("outage":{:.0f}}}}})",
               json_text(config.file.string()), json_text(config.things.url), config.writes,
               json_list(sources), json_list(devices), count_points(config), traffic.readings_per_day,
               traffic.uploads_per_day, traffic.bytes_per_month, traffic.flash_per_day_online,
               traffic.flash_per_day_outage) +
           "\n";
}

} // namespace things
