// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include "modbus/modbus_scan.hpp"

#include <algorithm>
#include <cmath>

namespace things {

namespace {

constexpr std::size_t most_plans = 32;

std::string json_text(const std::string& text) {
    static const char* const hex = "0123456789abcdef";
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            result += std::string("\\") + c;
        else if (byte < 0x20)
            result += std::string("\\u00") + hex[byte >> 4] + hex[byte & 0xF];
        else
            result += c;
    }
    return result + "\"";
}

std::string json_number(double value) {
    const double rounded = std::round(value * 1000) / 1000;
    std::string text = std::to_string(rounded);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.')
        text.pop_back();
    return text;
}

bool is_near(double a, double b) {
    return a < 2 * b && b < 2 * a;
}

} // namespace

std::unique_ptr<ModbusSource> ModbusSource::make(const PluginHost& host, const things_source_config& config) {
    auto settings = read_settings(host, config);
    if (settings)
        host.patience(settings->longest_step());
    return settings ? std::make_unique<ModbusSource>(host, std::move(*settings)) : nullptr;
}

ModbusSource::ModbusSource(const PluginHost& host, ModbusSettings settings)
    : host_(host), settings_(std::move(settings)), lessons_(settings_.units.size()),
      units_(host_, settings_, lessons_), line_(host_, settings_.link, units_), reports_(host_, settings_),
      sunspec_(settings_, line_, units_, reports_),
      reader_(host_, settings_, line_, units_, lessons_, reports_),
      polls_(settings_, line_, units_, lessons_, reports_, reader_, sunspec_),
      writer_(host_, settings_, line_, units_, reports_) {}

bool ModbusSource::begin(std::int64_t deadline_ms, const std::uint32_t* points, std::uint32_t count) {
    line_.begin(deadline_ms);
    units_.begin_call();
    return line_.open() && sunspec_.find(points, count);
}

int ModbusSource::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    reader_.begin(count == 1);
    if (!begin(deadline_ms, points, count))
        return line_.why_over();
    lessons_.on_time(std::chrono::steady_clock::now());
    std::vector<std::uint32_t> asked(points, points + count);
    std::erase_if(asked, [this](std::uint32_t point) { return sunspec_.is_missing(point); });
    polls_.run(plan_for(asked), asked);
    return line_.status();
}

int ModbusSource::write(std::uint32_t point, const things_value& value, things_value& written,
                        std::int64_t deadline_ms) {
    if (!begin(deadline_ms, &point, 1))
        return line_.why_over();
    // No answer, or no such model: that was reported.
    return sunspec_.is_missing(point) ? THINGS_FAILED : writer_.write(point, value, written);
}

const PollPlan& ModbusSource::plan_for(const std::vector<std::uint32_t>& points) {
    const double request_bytes = line_.bus().cost(std::chrono::milliseconds(0)).request_bytes();
    ++uses_;
    const auto same = [&points](const CachedPlan& cached) {
        return cached.points == points;
    };
    auto found = std::find_if(plans_.begin(), plans_.end(), same);
    if (found == plans_.end()) {
        if (plans_.size() < most_plans)
            plans_.emplace_back();
        found = std::min_element(plans_.begin(), plans_.end(),
                                 [](const CachedPlan& a, const CachedPlan& b) { return a.used < b.used; });
        *found = {points, lessons_.epoch() + 1, 0, 0, {}};
    }
    found->used = uses_;
    if (found->epoch != lessons_.epoch() || !is_near(found->request_bytes, request_bytes)) {
        const ModbusBus& bus = line_.bus();
        found->plan = make_poll_plan(settings_, found->points, lessons_,
                                     [&bus](std::chrono::milliseconds pause) { return bus.cost(pause); });
        found->epoch = lessons_.epoch();
        found->request_bytes = request_bytes;
    }
    return found->plan;
}

// The scan opens the link for itself, with other settings perhaps; ours is opened again at the next poll.
int ModbusSource::discover(const PluginSettings& options, std::int64_t deadline_ms) {
    line_.begin(deadline_ms);
    std::string error;
    const ScanOptions what = read_scan_options(options, settings_, error);
    if (!error.empty()) {
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "scan_options",
                     "the scan cannot begin: " + error + ".");
        return THINGS_INVALID;
    }
    line_.bus().close();
    ModbusScan scan(settings_,
                    {[this](const std::string& line) { host_.found(line); },
                     [this](double part) { host_.progress(part); },
                     [this] {
                         return line_.is_over();
                     }},
                    &host_);
    switch (scan.run(what)) {
    case ModbusScan::Outcome::done:
        return THINGS_OK;
    case ModbusScan::Outcome::interrupted:
        return THINGS_INTERRUPTED;
    case ModbusScan::Outcome::failed:
        break;
    }
    host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, scan.trouble().code, scan.trouble().text);
    return THINGS_FAILED;
}

// Reads every point in one round, as when all are due at once; the load counts how often each request is due.
int ModbusSource::plan() {
    std::vector<std::uint32_t> points;
    for (std::uint32_t i = 0; i < settings_.points.size(); ++i)
        if (!settings_.points[i].is_write_only)
            points.push_back(i);
    const ModbusBus& bus = line_.bus();
    const PollPlan requests = make_poll_plan(
        settings_, points, lessons_, [&bus](std::chrono::milliseconds pause) { return bus.cost(pause); });
    double cycle_ms = 0, load = 0;
    for (const PlannedRequest& request : requests) {
        const UnitSettings& unit = unit_of(request);
        const double ms =
            line_.bus().cost(unit.pause).read_us(request.table, request.span.size(), unit.register_bytes) /
            1000;
        std::int64_t interval = INT64_MAX;
        std::string names;
        for (const PlannedPoint& planned : request.points) {
            const ModbusPoint& point = settings_.points[planned.point];
            interval = std::min(interval, std::max<std::int64_t>(point.interval_ms, 1));
            names += (names.empty() ? "" : ",") + json_text(point.name);
        }
        cycle_ms += ms;
        load += ms / static_cast<double>(interval);
        const std::uint32_t device = settings_.points[request.points.front().point].device;
        const unsigned overhead = settings_.link.rtu_framing ? 13 : 21;
        host_.found(
            "{\"device\":" + json_text(settings_.devices[device]) + ",\"unit\":" + std::to_string(unit.unit) +
            ",\"table\":\"" + table_name(request.table) +
            "\",\"first\":" + std::to_string(request.span.first) +
            ",\"count\":" + std::to_string(request.span.size()) + ",\"points\":[" + names + "],\"bytes\":" +
            std::to_string(overhead + data_bytes(request.table, request.span.size(), unit.register_bytes)) +
            ",\"ms\":" + json_number(ms) + ",\"interval_ms\":" + std::to_string(interval) + "}");
    }
    host_.found("{\"cycle_ms\":" + json_number(cycle_ms) + ",\"load\":" + json_number(load) +
                ",\"requests\":" + std::to_string(requests.size()) + "}");
    return THINGS_OK;
}

} // namespace things
