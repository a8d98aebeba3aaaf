// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include "modbus/modbus_scan.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

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

constexpr int most_reopenings = 2;

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

ModbusSource::UnitTable::UnitTable(const ModbusSettings& settings) {
    std::array<bool, 256> known{};
    for (const ModbusPoint& point : settings.points) {
        const std::uint8_t unit = settings.units[point.unit].unit;
        if (!known[unit]) {
            known[unit] = true;
            slots_[unit] = static_cast<std::uint8_t>(states_.size());
            states_.emplace_back();
        }
        auto& devices = (*this)[unit].devices;
        if (std::find(devices.begin(), devices.end(), point.device) == devices.end())
            devices.push_back(point.device);
    }
}

ModbusSource::ModbusSource(const PluginHost& host, ModbusSettings settings)
    : host_(host), settings_(std::move(settings)), bus_(settings_.link, &host_), units_(settings_),
      lessons_(settings_.units.size()), point_codes_(settings_.points.size(), nullptr),
      was_read_(settings_.points.size(), false), sunspec_found_(settings_.points.size(), false),
      next_walk_(settings_.units.size()) {}

bool ModbusSource::open_link() {
    if (!await_reopening())
        return false;
    if (const auto trouble = bus_.open()) {
        interrupted_ = trouble->is_interruption;
        if (!interrupted_)
            report_link(*trouble);
        return false;
    }
    if (bus_.take_reopened())
        for (UnitState& unit : units_)
            unit.health.wake(std::chrono::steady_clock::now());
    return true;
}

void ModbusSource::begin(std::int64_t deadline_ms) {
    deadline_ms_ = deadline_ms;
    interrupted_ = link_failed_ = false;
    reopenings_ = has_worked_ ? most_reopenings : 1;
    wasted_ = std::chrono::nanoseconds(0);
    failed_.clear();
    ++call_;
}

void ModbusSource::report_link(const LinkTrouble& trouble) {
    link_code_ = trouble.code;
    link_failed_ = true;
    has_worked_ = false;
    host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, trouble.code, trouble.text);
}

bool ModbusSource::is_over() const {
    return host_.interrupted() || monotonic_ms() >= deadline_ms_;
}

BusTiming ModbusSource::timing_of(const UnitSettings& unit, int silent_retries) const {
    const auto left = std::chrono::milliseconds(std::max<std::int64_t>(deadline_ms_ - monotonic_ms(), 0));
    return {unit.timeout, unit.pause,
            unit.retries, std::min(unit.retries, silent_retries),
            unit.timeout, std::chrono::steady_clock::now() + left};
}

// A server that accepts and closes at once is not stormed: the bus makes the pauses between connections grow,
// and only a short one is waited for here. False: the call is over.
bool ModbusSource::await_reopening() {
    constexpr std::chrono::milliseconds most_waited{1000}, slice{20};
    if (settings_.link.serial || bus_.is_open() ||
        bus_.next_open() - std::chrono::steady_clock::now() > most_waited)
        return true;
    while (std::chrono::steady_clock::now() < bus_.next_open()) {
        if (is_over()) {
            interrupted_ = true;
            return false;
        }
        std::this_thread::sleep_for(slice);
    }
    return true;
}

bool ModbusSource::reopen_link() {
    return reopenings_-- > 0 && open_link();
}

void ModbusSource::tell_note() {
    if (const auto note = bus_.take_note())
        host_.report(THINGS_NOTE, THINGS_SOURCE, 0, note->code, note->text);
}

// Sends one request, and a read once more if the connection broke: many devices close it when it was idle, or
// after each answer. A write that may have arrived is not sent again. One that was closed before anything was
// answered was closed for this request, perhaps.
Exchange ModbusSource::ask(const BusRequest& request, const BusTiming& timing) {
    Exchange result = bus_.exchange(request, timing);
    if (result.status == Exchange::Status::lost) {
        const bool was_idle = bus_.has_answered();
        bool is_open = (was_idle || has_worked_) && reopen_link();
        if (is_open && ((was_idle && !writes(request)) || !result.was_sent)) {
            result = bus_.exchange(request, timing);
            if (result.status == Exchange::Status::lost)
                is_open = reopen_link();
        }
        if (result.status == Exchange::Status::lost) {
            if (!is_open && !link_failed_ && !interrupted_)
                report_link(bus_.trouble());
            if (!is_open)
                return result;
            result.status = Exchange::Status::damaged;
            result.misfit.kind = Misfit::Kind::closed;
            result.attempts = 1;
            return result;
        }
    }
    tell_note();
    const bool answered =
        result.status == Exchange::Status::answered || result.status == Exchange::Status::exception;
    silent_in_a_row_ = answered ? 0 : silent_in_a_row_ + 1;
    if (answered) {
        reopenings_ = most_reopenings;
        has_worked_ = true;
    }
    if (answered && link_code_) {
        host_.report(THINGS_RECOVERED, THINGS_SOURCE, 0, link_code_, settings_.link.text() + " works again.");
        link_code_ = nullptr;
    }
    // A connection that is half open swallows everything: after some silence a new one is worth a try.
    constexpr int most_silent = 2;
    if (!settings_.link.serial && silent_in_a_row_ >= most_silent) {
        silent_in_a_row_ = 0;
        bus_.close();
        if (!open_link())
            result.status = Exchange::Status::lost;
    }
    return result;
}

const PollPlan& ModbusSource::plan_for(const std::uint32_t* points, std::uint32_t count) {
    const double request_bytes = bus_.cost(std::chrono::milliseconds(0)).request_bytes();
    ++polls_;
    const auto same = [points, count](const CachedPlan& cached) {
        return cached.points.size() == count && std::equal(points, points + count, cached.points.begin());
    };
    auto found = std::find_if(plans_.begin(), plans_.end(), same);
    if (found == plans_.end()) {
        if (plans_.size() < most_plans)
            plans_.emplace_back();
        found = std::min_element(plans_.begin(), plans_.end(),
                                 [](const CachedPlan& a, const CachedPlan& b) { return a.used < b.used; });
        *found = {{points, points + count}, lessons_.epoch() + 1, 0, 0, {}};
    }
    found->used = polls_;
    if (found->epoch != lessons_.epoch() || !is_near(found->request_bytes, request_bytes)) {
        const ModbusBus& bus = bus_;
        found->plan = make_poll_plan(settings_, found->points, lessons_,
                                     [&bus](std::chrono::milliseconds pause) { return bus.cost(pause); });
        found->epoch = lessons_.epoch();
        found->request_bytes = request_bytes;
    }
    return found->plan;
}

// The scan opens the link for itself, with other settings perhaps; ours is opened again at the next poll.
int ModbusSource::discover(const PluginSettings& options, std::int64_t deadline_ms) {
    deadline_ms_ = deadline_ms;
    std::string error;
    const ScanOptions what = read_scan_options(options, settings_, error);
    if (!error.empty()) {
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "scan_options",
                     "the scan cannot begin: " + error + ".");
        return THINGS_INVALID;
    }
    bus_.close();
    ModbusScan scan(settings_,
                    {[this](const std::string& line) { host_.found(line); },
                     [this](double part) { host_.progress(part); },
                     [this] {
                         return is_over();
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
    const ModbusBus& bus = bus_;
    const PollPlan requests = make_poll_plan(
        settings_, points, lessons_, [&bus](std::chrono::milliseconds pause) { return bus.cost(pause); });
    double cycle_ms = 0, load = 0;
    for (const PlannedRequest& request : requests) {
        const UnitSettings& unit = unit_of(request);
        const double ms =
            bus_.cost(unit.pause).read_us(request.table, request.span.size(), unit.register_bytes) / 1000;
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
