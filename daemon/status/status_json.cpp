// SPDX-License-Identifier: Apache-2.0
#include "status/status_json.hpp"

#include "platform/json.hpp"

namespace things {

namespace {

void add_queue(JsonWriter& json, const QueueView& queue) {
    json.key("queue")
        .object()
        .member("read", queue.read)
        .member("adopted", queue.adopted)
        .member("accepted", queue.accepted)
        .member("queued", queue.queued)
        .member("dead", queue.dead)
        .key("dropped")
        .object();
    for (const auto& [reason, count] : queue.dropped)
        json.member(reason, count);
    json.end()
        .member("oldest_ms", queue.oldest_ms)
        .member("file_bytes", queue.file_bytes)
        .member("max_bytes", queue.max_bytes)
        .member("commits", queue.commits)
        .member("disk_bytes", queue.disk_bytes)
        .member("disk_bytes_per_day", queue.disk_bytes_per_day)
        .key("aside")
        .raw(aside_json(queue.aside))
        .end();
}

void add_uplink(JsonWriter& json, const UploadView& uploads) {
    json.key("uplink")
        .object()
        .member("state", uploads.host_state)
        .member("healthy", uploads.healthy)
        .member("in_flight", uploads.in_flight)
        .member("latency_ms", uploads.latency_ms)
        .member("readings", uploads.readings)
        .member("bytes", uploads.bytes)
        .key("answers")
        .object();
    for (const auto& [verdict, count] : uploads.answers)
        json.member(verdict, count);
    json.end().end();
}

void add_point(JsonWriter& json, const PointView& point) {
    json.object().member("name", point.name).member("unit", point.unit).key("value");
    // null, not left out: a reader sees that the point is there.
    if (point.value)
        json.value(*point.value);
    else
        json.null();
    json.member("time_ms", point.time_ms)
        .member("source", point.source)
        .member("writable", point.writable)
        .member("write_only", point.write_only)
        .member("problem", point.problem)
        .end();
}

void add_devices(JsonWriter& json, const Snapshot& snapshot) {
    json.key("devices").array();
    std::size_t next = 0; // points stand in the order of their devices
    for (const DeviceView& device : snapshot.devices) {
        json.object()
            .member("name", device.name)
            .member("dvnuuid", device.dvnuuid)
            .member("state", device.state)
            .member("healthy", device.healthy)
            .member("waiting", device.waiting)
            .member("last_upload_ms", device.last_upload_ms)
            .member("last_answer", device.last_answer)
            .member("packs", device.packs)
            .member("readings", device.readings)
            .key("points")
            .array();
        for (; next < snapshot.points.size() && snapshot.points[next].device == device.name; ++next)
            add_point(json, snapshot.points[next]);
        json.end().end();
    }
    json.end();
}

void add_sources(JsonWriter& json, const std::vector<SourceView>& sources) {
    json.key("sources").array();
    for (const SourceView& source : sources)
        json.object()
            .member("name", source.name)
            .member("plugin", source.plugin)
            .member("state", source.state)
            .member("healthy", source.healthy)
            .member("devices", source.devices)
            .member("points", source.points)
            .member("polls", source.polls)
            .member("readings", source.readings)
            .member("missed", source.missed)
            .member("restarts", source.restarts)
            .member("load", source.load)
            .member("planned_load", source.planned_load)
            .member("planned_cycle_ms", source.planned_cycle_ms)
            .member("planned_requests", source.planned_requests)
            .member("isolation", source.is_isolated ? "process" : "none")
            .member("reach", source.reach)
            .end();
    json.end();
}

void add_alarms(JsonWriter& json, const std::vector<AlarmView>& alarms) {
    json.key("alarms").array();
    for (const AlarmView& alarm : alarms)
        json.object()
            .member("key", alarm.key)
            .member("text", alarm.text)
            .member("advice", alarm.advice)
            .member("since_ms", alarm.since_ms)
            .member("urgent", alarm.urgent)
            .end();
    json.end();
}

} // namespace

std::string letters_json(const std::vector<DeadLetter>& letters, std::string_view dvnuuid) {
    JsonWriter json;
    json.array();
    for (const DeadLetter& letter : letters)
        if (dvnuuid.empty() || letter.dvnuuid == dvnuuid)
            json.object()
                .member("id", letter.id)
                .member("dvnuuid", letter.dvnuuid)
                .member("name", letter.name)
                .member("unit", letter.unit)
                .member("value", letter.reading.value)
                .member("time_ms", letter.reading.stamp.ms)
                .member("reason", letter.reason)
                .member("dead_since_ms", letter.wall_ms)
                .end();
    return json.end().take();
}

std::string commands_json(const std::vector<CommandView>& commands) {
    JsonWriter json;
    json.array();
    for (const CommandView& command : commands)
        json.object()
            .member("id", command.id)
            .member("time_ms", command.time_ms)
            .member("device", command.device)
            .member("point", command.point)
            .member("origin", command.origin)
            .member("value", command.value)
            .member("before", command.before)
            .member("after", command.after)
            .member("state", command.state)
            .member("verdict", command.verdict)
            .end();
    return json.end().take();
}

namespace {

void add_counts(JsonWriter& json, const std::map<std::string, std::uint64_t>& counts) {
    json.object();
    for (const auto& [dvnuuid, count] : counts)
        json.member(dvnuuid, count);
    json.end();
}

} // namespace

std::string aside_json(const std::vector<FileAside>& files) {
    JsonWriter json;
    json.array();
    for (const FileAside& file : files) {
        json.object()
            .member("file", file.file)
            .member("problem", file.problem)
            .member("readings", file.readings)
            .member("letters", file.letters)
            .member("commands", file.commands)
            .key("devices");
        add_counts(json, file.devices);
        json.end();
    }
    return json.end().take();
}

std::string adopt_json(const AdoptResult& result) {
    JsonWriter json;
    json.object()
        .member("ok", result.problem.empty())
        .member("file", result.file)
        .member("problem", result.problem)
        .member("damaged", result.is_damaged)
        .member("rescue", result.rescue)
        .member("known", result.is_known)
        .member("readings", result.readings)
        .member("letters", result.letters)
        .member("lost", result.lost)
        .member("estimated", result.estimated)
        .member("unsynced", result.unsynced)
        .key("devices");
    add_counts(json, result.devices);
    json.key("commands").array();
    for (const std::string& command : result.unfinished)
        json.value(command);
    return json.end().end().take();
}

std::string status_json(const Snapshot& snapshot) {
    JsonWriter json;
    json.object()
        .member("version", snapshot.version)
        .member("name", snapshot.name)
        .member("now_ms", snapshot.now_ms)
        .member("started_ms", snapshot.started_ms)
        .member("clock_trusted", snapshot.clock_trusted)
        .member("writes", snapshot.writes);
    add_alarms(json, snapshot.alarms);
    add_uplink(json, snapshot.uploads);
    add_queue(json, snapshot.queue);
    add_devices(json, snapshot);
    add_sources(json, snapshot.sources);
    // The same text as the answer of the verb `commands`, so that both are described once.
    json.key("commands").raw(commands_json(snapshot.commands));
    return json.end().take();
}

std::string charts_json(const std::vector<ChartView>& charts) {
    JsonWriter json;
    json.object().key("charts").array();
    for (const ChartView& chart : charts) {
        json.object()
            .member("key", chart.key)
            .member("unit", chart.unit)
            .member("step_ms", chart.step_ms)
            .key("values")
            .array();
        for (const std::optional<double>& value : chart.values)
            if (value)
                json.value(*value);
            else
                json.null();
        json.end().end();
    }
    return json.end().end().take();
}

} // namespace things
