// SPDX-License-Identifier: Apache-2.0
#include "gateway/status_view.hpp"

#include "platform/clock.hpp"
#include "status/metrics.hpp"
#include "status/page.hpp"
#include "status/status_json.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

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

StatusView::StatusView(const StatusParts& parts) : parts_(parts), started_ms_(parts.clock.wall_ms()) {}

void StatusView::update() {
    const std::int64_t boot_ms = parts_.clock.boot_ms();
    queued_history_.add(static_cast<double>(parts_.queue.books().queued()), boot_ms);
    // Added each second, shown per minute. Counted since this start: the books cover the queue's whole life.
    const std::uint64_t uploaded = parts_.uploader.totals().readings_accepted;
    uploads_history_.add(static_cast<double>(uploaded - uploaded_before_) * 60, boot_ms);
    uploaded_before_ = uploaded;
    update_loads();
}

void StatusView::update_loads() {
    std::unordered_map<std::string, Load> loads;
    for (const Sources::View& source : parts_.sources.view()) {
        const std::string& name = source.running->work->config.name;
        Load& load = loads[name] = loads_[name];
        const std::uint64_t busy = source.status.busy_us, before = std::exchange(load.busy_us, busy);
        const double now = busy < before ? 0 : static_cast<double>(busy - before) / 1e6;
        load.mean += (std::min(now, 1.0) - load.mean) / 60;
    }
    loads_ = std::move(loads);
}

const LiveValues::Last* StatusView::live(const std::string& device, const std::string& point) const {
    const std::optional<SeriesId> series = parts_.sources.series(device, point);
    return series ? parts_.live.find(*series) : nullptr;
}

std::map<std::string, WebServer::Page> StatusView::pages() {
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
        for (const AlarmView& alarm : parts_.alarms.list())
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

Snapshot StatusView::snapshot() const {
    Snapshot view;
    view.version = THINGS_VERSION;
    view.name = name_of(parts_.config.config);
    view.now_ms = parts_.clock.wall_ms();
    view.started_ms = started_ms_;
    view.writes = parts_.config.config.writes;
    view.alarms = parts_.alarms.list();
    view_uploads(view);
    view_sources(view);
    view_devices(view);
    view_queue(view);
    for (const Command& command : parts_.queue.audit("", shown_commands))
        view.commands.push_back(view_of(command));
    return view;
}

void StatusView::view_queue(Snapshot& view) const {
    const QueueStatus status = parts_.queue.status();
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
    view.queue.max_bytes = static_cast<std::uint64_t>(parts_.config.config.queue.max_size);
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

void StatusView::view_uploads(Snapshot& view) const {
    const UploadTotals totals = parts_.uploader.totals();
    for (std::size_t i = 0; i < answer_classes; ++i)
        view.uploads.answers[std::string(name_of(static_cast<AnswerClass>(i)))] = totals.answers[i];
    view.uploads.readings = totals.readings_accepted;
    view.uploads.bytes = totals.bytes_accepted;
    view.uploads.in_flight = totals.in_flight;
    view.uploads.latency_ms = static_cast<double>(totals.latency.count());
    view.uploads.host_state = totals.uplink;
    view.uploads.healthy = totals.is_uplink_open;
}

void StatusView::view_sources(Snapshot& view) const {
    for (const auto& [running, status] : parts_.sources.view()) {
        SourceView source;
        source.name = running->work->config.name;
        source.plugin = running->work->config.plugin;
        source.state = status.state;
        source.healthy = status.healthy;
        // The thread runs, but what it reads from does not answer.
        if (source.healthy && parts_.alarms.find("source/" + source.name)) {
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
        if (const auto plan = parts_.config.plans.find(source.name); plan != parts_.config.plans.end()) {
            source.planned_load = plan->second.load;
            source.planned_cycle_ms = plan->second.cycle_ms;
            source.planned_requests = plan->second.requests;
            source.is_isolated = plan->second.is_isolated;
            source.reach = plan->second.reach;
        }
        view.sources.push_back(std::move(source));
    }
}

std::string StatusView::problem_of(const std::string& source, const std::string& device) const {
    const std::string key = "source/" + source;
    const AlarmView* alarm = parts_.alarms.find(key);
    if (!alarm)
        alarm = parts_.alarms.find(key + "/device/" + device);
    return alarm ? alarm->text : std::string();
}

void StatusView::view_devices(Snapshot& view) const {
    for (const DeviceConfig& device : parts_.config.config.devices) {
        const DeviceUploads uploads = parts_.uploader.status(*parts_.devices.id(device.name));
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

std::vector<ChartView> StatusView::charts() const {
    const std::int64_t now = parts_.clock.boot_ms();
    std::vector<ChartView> all;
    all.push_back({"queued", "readings", History::step_ms, queued_history_.values(now)});
    all.push_back({"uploads", "readings a minute", History::step_ms, uploads_history_.values(now)});
    for (const DeviceConfig& device : parts_.config.config.devices)
        for (const PointConfig& point : device.points)
            if (const LiveValues::Last* last = live(device.name, point.name))
                all.push_back({device.name + '/' + point.name, point.unit, History::step_ms,
                               last->history.values(now)});
    return all;
}

} // namespace things
