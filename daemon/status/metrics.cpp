// SPDX-License-Identifier: Apache-2.0
#include "status/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

namespace things {

const char* const open_metrics_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Collects families in the order in which they are named.
class Families {
public:
    /// Starts a family; counters are named with their suffix _total.
    void start(prometheus::MetricType type, const std::string& name, const std::string& help) {
        prometheus::MetricFamily family;
        family.name = "things_gateway_" + name;
        family.help = help;
        family.type = type;
        families_.push_back(std::move(family));
    }
    void counter(const std::string& name, const std::string& help) {
        start(prometheus::MetricType::Counter, name, help);
    }
    void gauge(const std::string& name, const std::string& help) {
        start(prometheus::MetricType::Gauge, name, help);
    }
    /// Adds one sample to the family started last.
    void add(double value, const Labels& labels = {}) {
        prometheus::ClientMetric metric;
        for (const auto& [key, text] : labels)
            metric.label.push_back({key, text});
        if (families_.back().type == prometheus::MetricType::Counter)
            metric.counter.value = value;
        else
            metric.gauge.value = value;
        families_.back().metric.push_back(std::move(metric));
    }
    void add(std::uint64_t value, const Labels& labels = {}) { add(static_cast<double>(value), labels); }

    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        prometheus::TextSerializer().Serialize(out, families_);
        return std::move(out).str();
    }

private:
    std::vector<prometheus::MetricFamily> families_;
};

void add_queue(Families& out, const QueueView& queue) {
    out.counter("readings_read_total", "Readings taken from the plugins.");
    out.add(queue.read);
    out.counter("readings_adopted_total", "Readings taken in from other queues' files.");
    out.add(queue.adopted);
    out.counter("readings_accepted_total", "Readings accepted by the platform.");
    out.add(queue.accepted);
    out.counter("readings_dropped_total", "Readings given up by the configured loss policy, by reason.");
    for (const auto& [reason, count] : queue.dropped)
        out.add(count, {{"reason", reason}});
    out.gauge("queue_readings", "Readings waiting in the queue.");
    out.add(queue.queued);
    out.gauge("queue_dead_readings", "Readings set aside because the platform refuses them.");
    out.add(queue.dead);
    out.gauge("queue_oldest_timestamp_seconds", "Time of the oldest waiting reading; 0 when none waits.");
    out.add(static_cast<double>(queue.oldest_ms) / 1000);
    out.gauge("queue_file_bytes", "Size of the queue on flash.");
    out.add(queue.file_bytes);
    out.gauge("queue_file_limit_bytes", "Configured limit of that size.");
    out.add(queue.max_bytes);
    out.counter("queue_commits_total", "Synced commits of the queue.");
    out.add(queue.commits);
    out.counter("queue_disk_written_bytes_total", "Bytes the queue wrote to flash.");
    out.add(queue.disk_bytes);
}

void add_uploads(Families& out, const UploadView& uploads) {
    out.counter("uploads_total", "Answers to uploads, by what they meant.");
    for (const auto& [verdict, count] : uploads.answers)
        out.add(count, {{"verdict", verdict}});
    out.counter("upload_body_bytes_total", "Bytes of pack bodies accepted by the platform.");
    out.add(uploads.bytes);
    out.gauge("uploads_in_flight", "Uploads under way.");
    out.add(uploads.in_flight);
    out.gauge("upload_last_latency_seconds", "Time from request to answer of the last upload.");
    out.add(uploads.latency_ms / 1000);
    out.gauge("uplink_up", "1 while the platform can be reached.");
    out.add(uploads.healthy ? 1.0 : 0.0);
}

void add_sources(Families& out, const std::vector<SourceView>& sources) {
    const auto each = [&out, &sources](auto value) {
        for (const SourceView& source : sources)
            out.add(value(source), {{"source", source.name}, {"plugin", source.plugin}});
    };
    out.gauge("source_up", "1 while the source works.");
    each([](const SourceView& s) { return s.healthy ? 1.0 : 0.0; });
    out.counter("source_polls_total", "Polls asked of the source.");
    each([](const SourceView& s) { return s.polls; });
    out.counter("source_readings_total", "Readings that came from the source.");
    each([](const SourceView& s) { return s.readings; });
    out.counter("source_missed_ticks_total", "Polls that could not start in their interval.");
    each([](const SourceView& s) { return s.missed; });
    out.counter("source_restarts_total", "Restarts of the source's host process.");
    each([](const SourceView& s) { return s.restarts; });
    out.gauge("source_load_ratio", "Part of the time in which the source's line is busy.");
    each([](const SourceView& s) { return s.load; });
}

void add_devices(Families& out, const std::vector<DeviceView>& devices) {
    const auto each = [&out, &devices](auto value) {
        for (const DeviceView& device : devices)
            out.add(value(device), {{"device", device.name}});
    };
    out.gauge("device_up", "1 while the device's uploads are accepted.");
    each([](const DeviceView& d) { return d.healthy ? 1.0 : 0.0; });
    out.gauge("device_queue_readings", "Readings of the device waiting in the queue.");
    each([](const DeviceView& d) { return d.waiting; });
    out.gauge("device_last_upload_timestamp_seconds", "Time of the last accepted upload; 0 when none was.");
    each([](const DeviceView& d) { return static_cast<double>(d.last_upload_ms) / 1000; });
    out.counter("device_packs_total", "Packs of the device accepted by the platform.");
    each([](const DeviceView& d) { return d.packs; });
}

/// OpenMetrics names a counter's family without the suffix of its samples, and ends with a mark
/// (OpenMetrics 1.0, sections "Counter" and "Overall Structure"); the serializer writes the older text
/// format.
std::string to_open_metrics(const std::string& text) {
    constexpr std::string_view suffix = "_total";
    std::string out;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# ")) {
            const auto name_at = line.find(' ', 2) + 1;
            const auto name_end = line.find(' ', name_at);
            if (name_end != std::string::npos && std::string_view(line).substr(0, name_end).ends_with(suffix))
                line.erase(name_end - suffix.size(), suffix.size());
        }
        out += line + '\n';
    }
    return out + "# EOF\n";
}

} // namespace

std::string open_metrics(const Snapshot& snapshot) {
    Families out;
    out.gauge("info", "Name and version of the gateway.");
    out.add(1.0, {{"name", snapshot.name}, {"version", snapshot.version}});
    out.gauge("start_timestamp_seconds", "When the gateway started.");
    out.add(static_cast<double>(snapshot.started_ms) / 1000);
    out.gauge("clock_trusted", "1 while the system clock is synchronised.");
    out.add(snapshot.clock_trusted ? 1.0 : 0.0);
    const auto is_refusal = [](const AlarmView& alarm) {
        return alarm.key == "config";
    };
    out.gauge("config_ok", "1 while the configuration on disk is the one that runs, or was last accepted.");
    out.add(std::none_of(snapshot.alarms.begin(), snapshot.alarms.end(), is_refusal) ? 1.0 : 0.0);
    out.gauge("alarms", "Alarms that are standing.");
    out.add(std::uint64_t{snapshot.alarms.size()});
    add_queue(out, snapshot.queue);
    add_uploads(out, snapshot.uploads);
    add_sources(out, snapshot.sources);
    add_devices(out, snapshot.devices);
    return to_open_metrics(out.text());
}

} // namespace things
