// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway.hpp"

#include "platform/log.hpp"

#include <fmt/format.h>

#include <set>

// What sources and uploads complain of becomes alarms and lines of the log, and what ends them.
namespace things {

namespace {

std::string dead_key(const std::string& device) {
    return "device/" + device + "/dead";
}

} // namespace

void Gateway::on_event(const RunningSource& source, const SourceEvent& event) {
    const std::string& name = source.work->config.name;
    const bool is_problem = event.kind == SourceEvent::Kind::problem;
    std::string device, point, key = "source/" + name;
    if (event.level == Level::device && event.index < source.work->devices.size()) {
        device = source.work->devices[event.index].name;
        key = fmt::format("source/{}/device/{}", name, device);
    } else if (event.level == Level::point && event.index < source.work->points.size()) {
        const SourcePoint& at = source.work->points[event.index];
        device = source.work->devices[at.device].name;
        point = at.config.name;
        live_.set_problem(source.series[event.index], is_problem ? event.text : std::string());
    }
    const std::string where =
        fmt::format("{}{}{}{}{}", name, device.empty() ? "" : ", ", device, point.empty() ? "" : "/", point);
    const bool is_alarm = point.empty() && event.kind != SourceEvent::Kind::note;
    // An alarm tells the log its beginning and its end; that something else is wrong by now is told here.
    const bool is_change = is_alarm && is_problem && alarms_.find(key) != nullptr;
    if (is_alarm && is_problem)
        alarms_.raise(key, fmt::format("{}: {}", where, event.text), "", false, clock_.wall_ms());
    else if (is_alarm)
        alarms_.clear(key);
    if (!is_alarm || is_change)
        log::write(is_problem ? log::Level::warning : log::Level::info,
                   fmt::format("{}: {}{}", where, event.text,
                               event.count > 1 ? fmt::format(" ({} times)", event.count) : std::string()),
                   {{"SOURCE", name}, {"DEVICE", device}, {"POINT", point}, {"CODE", event.code}});
}

void Gateway::on_upload_alarm(const UploadAlarm& alarm, bool is_over) {
    const auto name = alarm.device ? names_.find(*alarm.device) : names_.end();
    // One that was removed while readings of it wait has no name any more.
    const std::string device = name != names_.end() ? name->second
                               : alarm.device       ? removed_name(*alarm.device)
                                                    : std::string();
    std::string key = "uplink";
    if (alarm.kind == UploadAlarm::Kind::device_parked)
        key = "device/" + device + "/parked";
    else if (alarm.kind == UploadAlarm::Kind::device_failing)
        key = "device/" + device + "/uploads";
    else if (alarm.kind == UploadAlarm::Kind::dead_letter)
        key = dead_key(device);
    else if (alarm.kind == UploadAlarm::Kind::misdirected)
        key = "uplink/misdirected";
    if (is_over)
        return alarms_.clear(key, Alarms::Log::told_already);
    // Nobody waits for the rest of a removed device.
    const bool urgent = (alarm.kind == UploadAlarm::Kind::device_parked && name != names_.end()) ||
                        alarm.kind == UploadAlarm::Kind::misdirected;
    alarms_.raise(key, alarm.text, "", urgent, clock_.wall_ms(), Alarms::Log::told_already);
}

void Gateway::end_dead_alarms() {
    std::set<std::string> standing;
    for (const DeadLetter& letter : queue_.dead_letters()) {
        const DeviceId id = queue_.device(letter.dvnuuid);
        const auto name = names_.find(id);
        standing.insert(dead_key(name != names_.end() ? name->second : removed_name(id)));
    }
    for (const AlarmView& alarm : alarms_.list())
        if (alarm.key.starts_with("device/") && alarm.key.ends_with("/dead") && !standing.contains(alarm.key))
            alarms_.clear(alarm.key);
}

} // namespace things
