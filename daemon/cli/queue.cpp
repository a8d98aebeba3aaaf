// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/print.hpp"
#include "cli/queue_owner.hpp"
#include "cli/setup.hpp"

#include "platform/json.hpp"
#include "queue/queue.hpp"
#include "status/status_json.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <map>

namespace things::cli {

namespace {

using simdjson::dom::element;

std::string text_of(element value) {
    return value.is_string() ? std::string(std::string_view(value)) : simdjson::minify(value);
}

/// The queue of a daemon that does not run.
class ClosedQueue {
public:
    explicit ClosedQueue(const Config& config) : queue_(loop_.get_executor(), clock_, options(config)) {}
    Queue& queue() { return queue_; }
    /// Makes what was changed durable.
    void close() {
        const auto wait = boost::asio::make_work_guard(loop_); // the answer comes from another thread
        queue_.shutdown([this](bool) { loop_.stop(); });
        loop_.run();
    }

private:
    static QueueOptions options(const Config& config) {
        QueueOptions options;
        options.config = config.queue;
        options.time = config.time;
        return options;
    }
    SystemClock clock_;
    boost::asio::io_context loop_;
    Queue queue_;
};

/// The running daemon's status reduced to what waits, or the same of a queue opened here.
std::string backlog_json(const Config& config, const DaemonAnswer& answer) {
    std::map<std::string, std::string> names;
    for (const DeviceConfig& device : config.devices)
        names[device.dvnuuid] = device.name;
    JsonWriter json;
    if (answer.is_running) {
        simdjson::dom::parser parser;
        const element root = parser.parse(answer.result);
        json.object().member("running", true).key("queue").raw(simdjson::minify(root["queue"]));
        json.key("devices").array();
        for (const element device : root["devices"])
            json.object()
                .member("name", std::string_view(device["name"]))
                .member("dvnuuid", std::string_view(device["dvnuuid"]))
                .member("waiting", std::uint64_t(device["waiting"]))
                .member("state", std::string_view(device["state"]))
                .end();
        return json.end().end().take();
    }
    ClosedQueue closed(config);
    closed.close(); // with it the size of the file is known
    const QueueStatus status = closed.queue().status();
    json.object().member("running", false).key("queue").object();
    json.member("read", status.books.read)
        .member("accepted", status.books.accepted)
        .member("queued", status.queued)
        .member("dead", status.books.dead)
        .member("dropped_total", status.books.dropped_total())
        .member("file_bytes", std::int64_t{status.file_size});
    json.end().key("devices").array();
    for (const DeviceBacklog& device : status.devices)
        json.object()
            .member("name", names.contains(device.dvnuuid) ? names.at(device.dvnuuid) : std::string())
            .member("dvnuuid", device.dvnuuid)
            .member("waiting", device.waiting + device.held)
            .member("state", names.contains(device.dvnuuid) ? "not running" : "not in the configuration")
            .end();
    return json.end().end().take();
}

void print_backlog(const std::string& json) {
    simdjson::dom::parser parser;
    const element root = parser.parse(json);
    const element queue = root["queue"];
    print_line("{} readings wait, {} dead letters; {} read and {} accepted so far; {} bytes on flash{}",
               text_of(queue["queued"]), text_of(queue["dead"]), text_of(queue["read"]),
               text_of(queue["accepted"]), text_of(queue["file_bytes"]),
               bool(root["running"]) ? "" : " (the daemon does not run)");
    for (const element device : root["devices"])
        print_line("{:<24} {:>10}  {}",
                   text_of(device["name"]).empty() ? text_of(device["dvnuuid"]) : text_of(device["name"]),
                   text_of(device["waiting"]), text_of(device["state"]));
}

std::string request_of(const char* verb, const LetterOptions& options) {
    JsonWriter json;
    json.object().member("verb", verb).member("device", options.device).member("all", options.all);
    json.key("ids").array();
    for (const std::uint64_t id : options.ids)
        json.value(std::to_string(id));
    return json.end().end().take();
}

std::string dvnuuid_of(const Config& config, const std::string& name) {
    for (const DeviceConfig& device : config.devices)
        if (device.name == name)
            return device.dvnuuid;
    return {};
}

/// As the configuration calls the device; the DvnUUID of one that is not there any more.
std::string name_of(const Config& config, const std::string& dvnuuid) {
    for (const DeviceConfig& device : config.devices)
        if (device.dvnuuid == dvnuuid)
            return device.name;
    return dvnuuid;
}

/// Retries or drops dead letters, in the daemon or in a queue that nobody runs.
int change_letters(const Common& common, const LetterOptions& options, const char* verb,
                   std::size_t (Queue::*act)(const std::vector<std::uint64_t>&)) {
    if (options.device.empty() && options.ids.empty() && !options.all) {
        print_line(stderr,
                   "error: name dead letters (as `queue show` numbers them), --device DEVICE or --all");
        return usage;
    }
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    // Else a slip in the name would look like a device without dead letters.
    if (!options.device.empty() && !find_device(*config, options.device))
        return usage;
    DaemonAnswer answer = ask(*config, request_of(verb, options), seconds(30));
    if (!answer.is_running) {
        if (!become_queue_owner(*config))
            return failed;
        ClosedQueue closed(*config);
        std::vector<std::uint64_t> ids = options.ids;
        const std::string dvnuuid = dvnuuid_of(*config, options.device);
        for (const DeadLetter& letter : closed.queue().dead_letters())
            if (options.all || (!dvnuuid.empty() && letter.dvnuuid == dvnuuid))
                ids.push_back(letter.id);
        const std::size_t count = (closed.queue().*act)(ids);
        closed.close();
        answer.result = JsonWriter().object().member("count", std::uint64_t{count}).end().take();
    }
    if (answer.exit_code != done)
        return answer.exit_code;
    simdjson::dom::parser parser;
    const std::uint64_t count = parser.parse(answer.result)["count"];
    const int code = count < options.ids.size() ? failed : done; // some of those named are not there
    if (common.json) {
        fmt::print("{}\n", answer.result);
        return code;
    }
    const bool is_retry = std::string_view(verb) == "queue retry";
    print_line("{} dead letter{} {}", count, count == 1 ? "" : "s",
               is_retry ? "back in the queue" : "dropped");
    return code;
}

} // namespace

int queue_list(const Common& common) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    const DaemonAnswer answer =
        ask(*config, JsonWriter().object().member("verb", "status").end().take(), seconds(30));
    if (answer.is_running && answer.exit_code != done)
        return answer.exit_code;
    if (!answer.is_running && !become_queue_owner(*config))
        return failed;
    const std::string json = backlog_json(*config, answer);
    if (common.json)
        fmt::print("{}\n", json);
    else
        print_backlog(json);
    return done;
}

int queue_show(const Common& common, const LetterOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    if (!options.device.empty() && !find_device(*config, options.device))
        return usage;
    DaemonAnswer answer = ask(*config, request_of("queue show", options), seconds(30));
    if (!answer.is_running) {
        if (!become_queue_owner(*config))
            return failed;
        ClosedQueue closed(*config);
        answer.result = letters_json(closed.queue().dead_letters(), dvnuuid_of(*config, options.device));
        closed.close();
    }
    if (answer.exit_code != done)
        return answer.exit_code;
    if (common.json) {
        fmt::print("{}\n", answer.result);
        return done;
    }
    simdjson::dom::parser parser;
    for (const element letter : parser.parse(answer.result))
        print_line("{:>6}  {}/{} = {}{}{} at {}: {}", text_of(letter["id"]),
                   name_of(*config, std::string(std::string_view(letter["dvnuuid"]))),
                   text_of(letter["name"]), text_of(letter["value"]),
                   text_of(letter["unit"]).empty() ? "" : " ", text_of(letter["unit"]),
                   local_time(letter["time_ms"]), text_of(letter["reason"]));
    return done;
}

int queue_retry(const Common& common, const LetterOptions& options) {
    return change_letters(common, options, "queue retry", &Queue::retry_dead);
}

int queue_drop(const Common& common, const LetterOptions& options) {
    return change_letters(common, options, "queue drop", &Queue::drop_dead);
}

} // namespace things::cli
