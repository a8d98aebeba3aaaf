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
#include <filesystem>
#include <functional>
#include <map>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

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
    /// Runs until `done` is called, from any handler of the queue.
    void wait(const std::function<void(std::function<void()> done)>& begin) {
        loop_.restart(); // here: the end of the guard before stopped it once more
        const auto work = boost::asio::make_work_guard(loop_); // the answer comes from another thread
        begin([this] { loop_.stop(); });
        loop_.run();
    }
    /// Makes what was changed durable.
    void close() {
        wait([this](const std::function<void()>& done) { queue_.shutdown([done](bool) { done(); }); });
    }
    /// A queue that could not be opened as it should be must not look like an empty one.
    void print_alarms() const {
        for (const QueueAlarm& alarm : queue_.status().alarms)
            if (alarm.code != "clock" && alarm.code != "aside")
                print_line(stderr, "warning: {}", alarm.text);
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

std::map<std::string, std::string> names_of(const Config& config) {
    std::map<std::string, std::string> names;
    for (const DeviceConfig& device : config.devices)
        names[device.dvnuuid] = device.name;
    return names;
}

/// The running daemon's status reduced to what waits, or the same of a queue opened here.
std::string backlog_json(const Config& config, const DaemonAnswer& answer) {
    const std::map<std::string, std::string> names = names_of(config);
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
    closed.print_alarms();
    closed.wait([&closed](std::function<void()> done) { closed.queue().look_aside(std::move(done)); });
    closed.close(); // with it the size of the file is known
    const QueueStatus status = closed.queue().status();
    json.object().member("running", false).key("queue").object();
    json.member("read", status.books.read)
        .member("adopted", status.books.adopted)
        .member("accepted", status.books.accepted)
        .member("queued", status.queued)
        .member("dead", status.books.dead)
        .member("dropped_total", status.books.dropped_total())
        .member("file_bytes", std::int64_t{status.file_size})
        .key("aside")
        .raw(aside_json(status.aside));
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

/// As the configuration calls the device; the DvnUUID of one that is not there any more.
std::string name_of(const std::map<std::string, std::string>& names, const std::string& dvnuuid) {
    const auto at = names.find(dvnuuid);
    return at == names.end() ? dvnuuid : at->second;
}

/// "set aside: FILE: 120 readings (boiler 100, chiller 20), 2 dead letters, 1 unfinished command".
void print_aside(element file, const std::map<std::string, std::string>& names) {
    const std::uint64_t readings = file["readings"], letters = file["letters"], commands = file["commands"];
    const std::string problem = text_of(file["problem"]);
    std::string devices;
    for (const auto& [dvnuuid, count] : simdjson::dom::object(file["devices"]))
        devices += fmt::format("{}{} {}", devices.empty() ? " (" : ", ", name_of(names, std::string(dvnuuid)),
                               std::uint64_t(count));
    print_line("set aside: {}: {} readings that are not in the queue{}{}{}{}{}", text_of(file["file"]),
               readings, devices, devices.empty() ? "" : ")",
               letters == 0 ? "" : fmt::format(", {} dead letters", letters),
               commands == 0 ? "" : fmt::format(", {} unfinished commands", commands),
               problem.empty() ? "" : "; " + problem);
    if (readings + letters > 0)
        print_line("           kpn-things-gateway queue adopt {}{}", problem.empty() ? "" : "--rescue ",
                   text_of(file["file"]));
}

void print_backlog(const std::string& json, const std::map<std::string, std::string>& names) {
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
    for (const element file : queue["aside"])
        print_aside(file, names);
}

std::string request_of(const LetterOptions& options) {
    JsonWriter json;
    json.object().member("device", options.device).member("all", options.all);
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

/// A large queue on a slow card takes its time, and says nothing meanwhile.
constexpr Milliseconds adopt_patience = std::chrono::hours(2);

std::string request_of(const std::string& file, const AdoptOptions& options) {
    return JsonWriter()
        .object()
        .member("file", file)
        .member("name", options.file.string())
        .member("rescue", options.rescue)
        .end()
        .take();
}

/// The file that is to be taken in, where the queue's owner can read it: a double beside the queue if it is
/// root who asks, for the daemon sees neither home folders nor what is root's alone.
class StagedFile {
public:
    StagedFile(const Config& config, const std::filesystem::path& file) {
        std::error_code error, ignored;
        const std::filesystem::path& queue = config.queue.path;
        std::filesystem::path named = std::filesystem::absolute(file, error);
        // As `queue list` names it, wherever one stands.
        if (!std::filesystem::exists(named, ignored) &&
            std::filesystem::exists(queue.parent_path() / file, ignored))
            named = queue.parent_path() / file;
        path_ = named.string();
        const std::string beside = queue.string() + ".";
        if (::geteuid() != 0 || path_.starts_with(beside) ||
            !std::filesystem::is_regular_file(named, ignored))
            return;
        struct stat folder {};
        // As become_queue_owner() decides.
        if (::stat(queue.parent_path().c_str(), &folder) != 0 ||
            (folder.st_uid == 0 && ::lstat(queue.c_str(), &folder) != 0 &&
             ::stat(queue.parent_path().c_str(), &folder) != 0))
            return;
        const std::string copy = fmt::format("{}adopt-{}", beside, ::getpid());
        for (const char* end : {"", "-wal"}) {
            if (!std::filesystem::exists(path_ + end, ignored))
                continue;
            copies_.push_back(copy + end);
            std::filesystem::copy_file(path_ + end, copy + end, error);
            if (error || ::chmod((copy + end).c_str(), 0600) != 0 ||
                ::chown((copy + end).c_str(), folder.st_uid, folder.st_gid) != 0) {
                remove();
                return; // the daemon says why it cannot read it
            }
        }
        path_ = copy;
    }
    ~StagedFile() { remove(); }
    StagedFile(const StagedFile&) = delete;
    StagedFile& operator=(const StagedFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    void remove() {
        std::error_code ignored;
        for (const std::string& copy : copies_)
            std::filesystem::remove(copy, ignored);
        copies_.clear();
    }
    std::string path_;
    std::vector<std::string> copies_;
};

int print_adopted(const Common& common, const AdoptOptions& options, const std::string& json,
                  const std::map<std::string, std::string>& names) {
    simdjson::dom::parser parser;
    const element result = parser.parse(json);
    const std::string problem = text_of(result["problem"]), rescue = text_of(result["rescue"]);
    const std::uint64_t readings = result["readings"], letters = result["letters"];
    if (common.json)
        print_line("{}", json);
    for (const element command : result["commands"])
        print_line(stderr, "warning: unfinished in that queue, and not carried out here: {}",
                   text_of(command));
    if (!common.json && readings + letters > 0) {
        print_line("{} readings and {} dead letters taken in; they are sent as backlog", readings, letters);
        for (const auto& [dvnuuid, count] : simdjson::dom::object(result["devices"]))
            print_line("{:<24} {:>10}", name_of(names, std::string(dvnuuid)), std::uint64_t(count));
        const std::pair<const char*, const char*> remarks[] = {
            {"lost", "were counted in that queue, but cannot be read"},
            {"estimated", "of them have an estimated time: their boot never got a clock"},
            {"unsynced", "more were dropped: their boot never got a clock (time.unsynced: drop)"},
        };
        for (const auto& [key, words] : remarks)
            if (const std::uint64_t count = result[key]; count > 0)
                print_line("{} {}", count, words);
    }
    if (problem.empty())
        return done;
    print_line(
        stderr, "error: {}: {}{}", options.file.string(), problem,
        rescue.empty() || options.rescue
            ? ""
            : fmt::format(". {}. To take that in: queue adopt --rescue {}", rescue, options.file.string()));
    return failed;
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
    DaemonAnswer answer = ask(*config, verb, request_of(options), seconds(30));
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
    const DaemonAnswer answer = ask(*config, "status", "", seconds(30));
    if (answer.is_running && answer.exit_code != done)
        return answer.exit_code;
    if (!answer.is_running && !become_queue_owner(*config))
        return failed;
    const std::string json = backlog_json(*config, answer);
    if (common.json)
        fmt::print("{}\n", json);
    else
        print_backlog(json, names_of(*config));
    return done;
}

int queue_show(const Common& common, const LetterOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    if (!options.device.empty() && !find_device(*config, options.device))
        return usage;
    DaemonAnswer answer = ask(*config, "queue show", request_of(options), seconds(30));
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
                   name_of(names_of(*config), std::string(std::string_view(letter["dvnuuid"]))),
                   text_of(letter["name"]), text_of(letter["value"]),
                   text_of(letter["unit"]).empty() ? "" : " ", text_of(letter["unit"]),
                   local_time(letter["time_ms"]), text_of(letter["reason"]));
    return done;
}

int queue_adopt(const Common& common, const AdoptOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_config(common, plugins);
    if (!config)
        return configuration;
    const StagedFile file(*config, options.file);
    DaemonAnswer answer = ask(*config, "queue adopt", request_of(file.path(), options), adopt_patience);
    if (!answer.is_running) {
        if (!become_queue_owner(*config))
            return failed;
        ClosedQueue closed(*config);
        closed.print_alarms();
        closed.wait([&](const std::function<void()>& done) {
            closed.queue().adopt(file.path(), options.rescue, [&answer, &options, done](AdoptResult result) {
                result.file = options.file.string();
                answer.result = adopt_json(result);
                done();
            });
        });
        closed.close();
    }
    if (answer.exit_code != done)
        return answer.exit_code;
    return print_adopted(common, options, answer.result, names_of(*config));
}

int queue_retry(const Common& common, const LetterOptions& options) {
    return change_letters(common, options, "queue retry", &Queue::retry_dead);
}

int queue_drop(const Common& common, const LetterOptions& options) {
    return change_letters(common, options, "queue drop", &Queue::drop_dead);
}

} // namespace things::cli
