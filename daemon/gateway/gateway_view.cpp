// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway_view.hpp"
#include "gateway/gateway.hpp"

#include "queue/clock_trust.hpp"
#include "status/metrics.hpp"
#include "status/page.hpp"
#include "status/status_json.hpp"

#include <fmt/format.h>

#include <unordered_map>

// What can be seen of the gateway from outside.
namespace things {

namespace {

constexpr std::size_t shown_commands = 50;
constexpr const char* json_type = "application/json; charset=utf-8";

std::string text_of(const std::optional<Value>& value) {
    return value ? value_text(*value) : std::string();
}

} // namespace

CommandView view_of(const Command& command) {
    return {command.id,
            command.received_wall_ms,
            command.device,
            command.point,
            command.origin,
            value_text(command.value),
            text_of(command.before),
            text_of(command.after),
            std::string(name_of(command.state)),
            command.verdict};
}

std::map<std::string, WebServer::Page> Gateway::pages() {
    std::map<std::string, WebServer::Page> pages;
    for (const PageFile& file : page_files())
        pages[file.path].handler = [file] {
            return WebAnswer{200, file.type, std::string(file.body)};
        };
    pages["/metrics"].handler = [this] {
        return WebAnswer{200, open_metrics_type, open_metrics(snapshot())};
    };
    pages["/api/v1/status"].handler = [this] {
        return WebAnswer{200, json_type, status_json(snapshot())};
    };
    pages["/api/v1/charts"].handler = [this] {
        return WebAnswer{200, json_type, charts_json(charts())};
    };
    pages["/healthz"].handler = [this] {
        std::string reasons;
        // Only what is urgent: a device that does not answer is no reason to restart the gateway.
        for (const AlarmView& alarm : alarms_.list())
            if (alarm.urgent)
                reasons += alarm.text + '\n';
        return reasons.empty() ? WebAnswer{200, "text/plain; charset=utf-8", "ok\n"}
                               : WebAnswer{503, "text/plain; charset=utf-8", reasons};
    };
    // Prometheus and probes ask by whatever name the operator gave them.
    for (const char* path : {"/metrics", "/healthz"})
        pages[path].is_for_any_host = true;
    // A probe has no password, and learns no more than whether all is well.
    pages["/healthz"].is_without_password = true;
    return pages;
}

Snapshot Gateway::snapshot() {
    Snapshot view;
    view.version = THINGS_VERSION;
    view.name = name_of(config_.config);
    view.now_ms = clock_.wall_ms();
    view.started_ms = started_ms_;
    view.writes = config_.config.writes;
    view.alarms = alarms_.list();
    view_uploads(view);
    view_sources(view);
    view_devices(view);
    view_queue(view);
    for (const Command& command : queue_.audit("", shown_commands))
        view.commands.push_back(view_of(command));
    return view;
}

void Gateway::view_queue(Snapshot& view) {
    const QueueStatus status = queue_.status();
    view.clock_trusted = status.clock_trusted;
    view.queue.read = status.books.read;
    view.queue.adopted = status.books.adopted;
    view.queue.accepted = status.books.accepted;
    view.queue.aside = status.aside;
    view.queue.dead = status.books.dead;
    view.queue.queued = status.queued;
    for (std::size_t i = 0; i < drop_reasons; ++i)
        view.queue.dropped[std::string(name_of(static_cast<DropReason>(i)))] = status.books.dropped[i];
    view.queue.file_bytes = static_cast<std::uint64_t>(status.file_size);
    view.queue.max_bytes = static_cast<std::uint64_t>(config_.config.queue.max_size);
    view.queue.commits = status.commits;
    view.queue.disk_bytes = status.bytes_written;
    view.queue.disk_bytes_per_day = status.bytes_per_day;
    std::unordered_map<std::string_view, DeviceView*> shown;
    for (DeviceView& device : view.devices)
        shown.emplace(device.dvnuuid, &device);
    for (const DeviceBacklog& backlog : status.devices) {
        if (backlog.oldest_ms > 0 && (view.queue.oldest_ms == 0 || backlog.oldest_ms < view.queue.oldest_ms))
            view.queue.oldest_ms = backlog.oldest_ms;
        const auto device = shown.find(backlog.dvnuuid);
        if (device == shown.end())
            continue;
        device->second->waiting = backlog.waiting + backlog.in_flight + backlog.held;
        device->second->oldest_ms = backlog.oldest_ms;
    }
}

void Gateway::view_uploads(Snapshot& view) {
    const UploadTotals totals = uploader_.totals();
    for (std::size_t i = 0; i < answer_classes; ++i)
        view.uploads.answers[std::string(name_of(static_cast<AnswerClass>(i)))] = totals.answers[i];
    view.uploads.readings = totals.readings_accepted;
    view.uploads.bytes = totals.bytes_accepted;
    view.uploads.in_flight = totals.in_flight;
    view.uploads.latency_ms = static_cast<double>(totals.latency.count());
    view.uploads.host_state = totals.uplink;
    view.uploads.healthy = totals.is_uplink_open;
}

void Gateway::view_sources(Snapshot& view) const {
    for (const auto& [running, status] : sources_.view()) {
        SourceView source;
        source.name = running->work->config.name;
        source.plugin = running->work->config.plugin;
        source.state = status.state;
        source.healthy = status.healthy;
        // The thread runs, but what it reads from does not answer.
        if (source.healthy && alarms_.find("source/" + source.name)) {
            source.healthy = false;
            source.state = "failing"; // the alarm says how
        }
        source.devices = running->work->devices.size();
        source.points = running->work->points.size();
        source.polls = status.polls;
        source.readings = status.readings;
        source.missed = status.missed;
        source.restarts = status.restarts;
        if (const auto load = loads_.find(source.name); load != loads_.end())
            source.load = load->second.mean;
        if (const auto plan = config_.plans.find(source.name); plan != config_.plans.end()) {
            source.planned_load = plan->second.load;
            source.planned_cycle_ms = plan->second.cycle_ms;
            source.planned_requests = plan->second.requests;
            source.is_isolated = plan->second.is_isolated;
            source.reach = plan->second.reach;
        }
        view.sources.push_back(std::move(source));
    }
}

/// Why nothing of this device can be read from this source; empty if it can.
std::string Gateway::problem_of(const std::string& source, const std::string& device) const {
    const std::string key = "source/" + source;
    const AlarmView* alarm = alarms_.find(key);
    if (!alarm)
        alarm = alarms_.find(key + "/device/" + device);
    return alarm ? alarm->text : std::string();
}

void Gateway::view_devices(Snapshot& view) {
    for (const DeviceConfig& device : config_.config.devices) {
        const DeviceUploads uploads = uploader_.status(ids_.at(device.name));
        DeviceView shown;
        shown.name = device.name;
        shown.dvnuuid = device.dvnuuid;
        shown.state = uploads.state;
        shown.healthy = !uploads.is_parked;
        shown.last_upload_ms = uploads.last_accepted_ms;
        shown.last_answer = uploads.last_answer;
        shown.packs = uploads.packs;
        shown.readings = uploads.readings;
        view.devices.push_back(std::move(shown));
        for (const PointConfig& point : device.points) {
            PointView value;
            value.device = device.name;
            value.name = point.name;
            value.unit = point.unit;
            value.source = point.source.empty() ? device.source : point.source;
            value.writable = point.writable.has_value();
            value.write_only = point.write_only;
            if (const LiveValues::Last* last = live(device.name, point.name)) {
                value.value = last->value;
                value.time_ms = last->time_ms;
                value.problem = last->problem;
            }
            if (value.problem.empty())
                value.problem = problem_of(value.source, device.name);
            view.points.push_back(std::move(value));
        }
    }
}

std::vector<ChartView> Gateway::charts() const {
    const std::int64_t now = clock_.boot_ms();
    std::vector<ChartView> all;
    all.push_back({"queued", "readings", History::step_ms, queued_history_.values(now)});
    all.push_back({"uploads", "readings a minute", History::step_ms, uploads_history_.values(now)});
    for (const DeviceConfig& device : config_.config.devices)
        for (const PointConfig& point : device.points)
            if (const LiveValues::Last* last = live(device.name, point.name))
                all.push_back({device.name + '/' + point.name, point.unit, History::step_ms,
                               last->history.values(now)});
    return all;
}

} // namespace things
