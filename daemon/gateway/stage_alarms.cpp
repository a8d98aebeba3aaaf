// SPDX-License-Identifier: Apache-2.0
#include "gateway/stage_alarms.hpp"

#include "platform/clock.hpp"
#include "platform/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace things {

namespace {

std::string dead_key(const std::string& device) {
    return "device/" + device + "/dead";
}

std::string unknown_key(const std::string& dvnuuid) {
    return "queue/unknown/" + dvnuuid;
}

} // namespace

void StageAlarms::set(const std::string& key, const std::string& problem, const std::string& advice,
                      bool is_urgent) {
    if (problem.empty())
        book_.clear(key);
    else
        book_.raise(key, problem, advice, is_urgent, clock_.wall_ms());
}

void StageAlarms::on_event(const RunningSource& source, const SourceEvent& event) {
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
    }
    const std::string where =
        fmt::format("{}{}{}{}{}", name, device.empty() ? "" : ", ", device, point.empty() ? "" : "/", point);
    const bool is_alarm = point.empty() && event.kind != SourceEvent::Kind::note;
    // An alarm tells the log its beginning and its end; that something else is wrong by now is told here.
    const bool is_change = is_alarm && is_problem && book_.find(key) != nullptr;
    if (is_alarm)
        set(key, is_problem ? fmt::format("{}: {}", where, event.text) : std::string(), "", false);
    if (!is_alarm || is_change)
        log::write(is_problem ? log::Level::warning : log::Level::info,
                   fmt::format("{}: {}{}", where, event.text,
                               event.count > 1 ? fmt::format(" ({} times)", event.count) : std::string()),
                   {{"SOURCE", name}, {"DEVICE", device}, {"POINT", point}, {"CODE", event.code}});
}

void StageAlarms::on_upload_alarm(const UploadAlarm& alarm, bool is_over) {
    const bool is_configured = alarm.device && devices_.name(*alarm.device) != nullptr;
    const std::string device = alarm.device ? devices_.alarm_name(*alarm.device) : std::string();
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
        return book_.clear(key, Alarms::Log::told_already);
    // Nobody waits for the rest of a removed device.
    const bool is_urgent = (alarm.kind == UploadAlarm::Kind::device_parked && is_configured) ||
                           alarm.kind == UploadAlarm::Kind::misdirected;
    book_.raise(key, alarm.text, "", is_urgent, clock_.wall_ms(), Alarms::Log::told_already);
}

void StageAlarms::set_queue(const std::vector<QueueAlarm>& raised,
                            const std::function<std::string()>& clock_words) {
    std::vector<std::string> keys;
    for (const QueueAlarm& alarm : raised) {
        keys.push_back("queue/" + alarm.code);
        set(keys.back(), alarm.code == "clock" ? clock_words() : alarm.text, "", alarm.is_urgent);
    }
    for (const std::string& key : queue_keys_)
        if (std::find(keys.begin(), keys.end(), key) == keys.end())
            book_.clear(key);
    queue_keys_ = std::move(keys);
}

void StageAlarms::end_dead(const std::vector<DeadLetter>& left,
                           const std::function<DeviceId(const std::string&)>& id_of) {
    std::set<std::string> standing;
    for (const DeadLetter& letter : left)
        standing.insert(dead_key(devices_.alarm_name(id_of(letter.dvnuuid))));
    for (const AlarmView& alarm : book_.list())
        if (alarm.key.starts_with("device/") && alarm.key.ends_with("/dead") && !standing.contains(alarm.key))
            book_.clear(alarm.key);
}

void StageAlarms::set_refusal(const std::string& refusal) {
    set("config",
        refusal.empty() ? std::string()
                        : "The configuration on disk has errors and would not start: " + refusal,
        "kpn-things-gateway check lists all of them. Mend them, then: systemctl reload kpn-things-gateway",
        true);
}

void StageAlarms::set_unknown(const std::string& dvnuuid, std::uint64_t waiting) {
    set(unknown_key(dvnuuid),
        fmt::format("{} readings wait for device {}, which the configuration does not have", waiting,
                    dvnuuid),
        "Add it again and they are sent; queue.keep_removed: false drops them at the next start.", false);
}

void StageAlarms::forget_unknown(const std::string& dvnuuid) {
    book_.clear(unknown_key(dvnuuid));
}

void StageAlarms::forget_device(const std::string& alarm_name) {
    book_.clear_all("device/" + alarm_name + '/');
}

void StageAlarms::forget_source(const std::string& source) {
    book_.clear("source/" + source);
    book_.clear_all("source/" + source + '/');
}

} // namespace things
