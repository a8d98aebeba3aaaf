// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"
#include "queue/status.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// All that can be seen of a running gateway, as plain values: filled by the gateway on the loop, turned into
// JSON, metrics and the terminal's table by the files beside this one. Holds no secret. Times are Unix
// milliseconds.
namespace things {

/// One point's last value.
/// `time_ms` is that of the reading, not of the request; `value` stays the last one while there is a problem.
struct PointView {
    std::string device, name, unit, source;
    std::optional<Value> value; ///< none yet since the start
    std::int64_t time_ms = 0;
    bool writable = false, write_only = false;
    std::string problem; ///< in words; empty while it can be read
};

/// One device and its uploads. Counters are since the start of the daemon.
/// Backlog times and waiting readings are the queue's, the rest the uploader's.
struct DeviceView {
    std::string name, dvnuuid;
    std::string state; ///< of its uploads, in words
    bool healthy = true;
    std::uint64_t waiting = 0; ///< readings in the queue
    std::int64_t oldest_ms = 0;
    std::int64_t last_upload_ms = 0;
    std::string last_answer;
    std::uint64_t packs = 0, readings = 0;
};

/// One source and its line. Loads are parts of the time, 0 to 1; counters since the start of the daemon.
struct SourceView {
    std::string name, plugin, state;
    bool healthy = true;
    std::uint64_t devices = 0, points = 0;
    std::uint64_t polls = 0, readings = 0, missed = 0, restarts = 0;
    double load = 0;         ///< measured: part of the time spent in the plugin, 0 to 1
    double planned_load = 0; ///< what the plan predicts; 0: not known
    double planned_cycle_ms = 0;
    std::uint64_t planned_requests = 0;
    bool is_isolated = false; ///< in a process of its own
    std::string reach;        ///< what it reaches unconfined though it must not be trusted; empty: nothing
};

/// Something a person should act on.
/// `urgent`: data is at risk or nothing leaves any more; the page's health answer is 503 then.
struct AlarmView {
    std::string key;    ///< stable: "device/boiler/parked"
    std::string text;   ///< what is wrong
    std::string advice; ///< what to do; may be empty
    std::int64_t since_ms = 0;
    bool urgent = false;
};

/// One command of the audit trail; values as text, empty where there was none.
/// See Command for the words of `origin` and `state`; `time_ms` is its receipt.
struct CommandView {
    std::uint64_t id = 0;
    std::int64_t time_ms = 0;
    std::string device, point, origin, value, before, after, state, verdict;
};

/// The books: read + adopted = accepted + queued + dead + all dropped, also across restarts. The other
/// counters are since the start. `oldest_ms` 0: nothing waits, or its time is not known yet.
struct QueueView {
    std::uint64_t read = 0, adopted = 0, accepted = 0, queued = 0, dead = 0;
    std::vector<FileAside> aside;
    std::map<std::string, std::uint64_t> dropped; ///< by reason
    std::int64_t oldest_ms = 0;
    std::uint64_t file_bytes = 0, max_bytes = 0;
    std::uint64_t commits = 0, disk_bytes = 0;
    double disk_bytes_per_day = 0; ///< projected from what was written since the start
};

/// The way to the platform. Counters are since the start of the daemon.
struct UploadView {
    std::map<std::string, std::uint64_t> answers; ///< by AnswerClass: "delivered", "network", "throttled" ...
    std::uint64_t readings = 0, bytes = 0, in_flight = 0;
    double latency_ms = 0;  ///< of the last answer
    std::string host_state; ///< "ok", or why uploads pause
    bool healthy = true;
};

/// A series of numbers for a small chart; `step_ms` apart, the last one now.
/// Empty values are slots in which nothing was read.
struct ChartView {
    std::string key; ///< "queued", "uploads", or "DEVICE/POINT"
    std::string unit;
    std::int64_t step_ms = 0;
    std::vector<std::optional<double>> values;
};

/// Everything at one moment. Points stand in the order of their devices.
/// Costs a copy of all names and last values; made on the loop once for each metrics or status request.
struct Snapshot {
    std::string version, name;
    std::int64_t now_ms = 0, started_ms = 0;
    bool clock_trusted = true;
    bool writes = true;
    QueueView queue;
    UploadView uploads;
    std::vector<SourceView> sources;
    std::vector<DeviceView> devices;
    std::vector<PointView> points;
    std::vector<AlarmView> alarms;
    std::vector<CommandView> commands;
};

/// A value as people read it: shortest number, true/false, or the text itself.
std::string value_text(const Value& value);

} // namespace things
