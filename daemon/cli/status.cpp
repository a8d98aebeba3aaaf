// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/print.hpp"
#include "cli/setup.hpp"

#include "platform/json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdio>
#include <ctime>
#include <thread>

#include <unistd.h>

namespace things::cli {

namespace {

using simdjson::dom::element;

std::string text_of(element value) {
    if (value.is_null())
        return "-";
    return value.is_string() ? std::string(std::string_view(value)) : simdjson::minify(value);
}

std::string ago(std::int64_t ms, std::int64_t now) {
    if (ms <= 0)
        return "never";
    const std::int64_t s = std::max<std::int64_t>(0, (now - ms) / 1000);
    if (s < 120)
        return fmt::format("{} s ago", s);
    if (s < 7200)
        return fmt::format("{} min ago", s / 60);
    return s < 172'800 ? fmt::format("{} h ago", s / 3600) : fmt::format("{} days ago", s / 86'400);
}

void print_devices(element root, std::int64_t now) {
    for (const element device : root["devices"]) {
        print_line("");
        print_line("{}: {}; {} waiting, last upload {}", text_of(device["name"]), text_of(device["state"]),
                   text_of(device["waiting"]), ago(device["last_upload_ms"], now));
        for (const element point : device["points"]) {
            const std::string problem = text_of(point["problem"]);
            print_line("  {:<24} {:>16} {:<6} {}", text_of(point["name"]), text_of(point["value"]),
                       text_of(point["unit"]),
                       !problem.empty()            ? problem
                       : bool(point["write_only"]) ? "write only"
                                                   : ago(point["time_ms"], now));
        }
    }
}

void print_status(const std::string& json) {
    simdjson::dom::parser parser;
    const element root = parser.parse(json);
    const std::int64_t now = root["now_ms"];
    const element queue = root["queue"], uplink = root["uplink"];
    print_line("gateway:  {}, version {}", text_of(root["name"]), text_of(root["version"]));
    for (const element alarm : root["alarms"])
        print_line("{} {} (since {}){}{}",
                   bool(alarm["urgent"]) ? "ALARM:" : "notice:", text_of(alarm["text"]),
                   ago(alarm["since_ms"], now), text_of(alarm["advice"]).empty() ? "" : "; ",
                   text_of(alarm["advice"]));
    print_line("platform: {}, last answer after {:.0f} ms", text_of(uplink["state"]),
               double(uplink["latency_ms"]));
    print_line("readings: {} read, {} accepted, {} waiting, {} dead letters", text_of(queue["read"]),
               text_of(queue["accepted"]), text_of(queue["queued"]), text_of(queue["dead"]));
    print_line("flash:    {} bytes used of {}, {:.1f} MB a day written", text_of(queue["file_bytes"]),
               text_of(queue["max_bytes"]), double(queue["disk_bytes_per_day"]) / 1e6);
    if (!bool(root["clock_trusted"]))
        print_line("clock:    readings are held back: clock not synchronised");
    for (const element source : root["sources"]) {
        print_line("source {:<16} {:<10} {} points, load {:.1f} %, {}", text_of(source["name"]),
                   text_of(source["plugin"]), text_of(source["points"]), double(source["load"]) * 100,
                   text_of(source["state"]));
        if (const std::string reach = text_of(source["reach"]); !reach.empty())
            print_line("       {}", reach);
    }
    print_devices(root, now);
}

void show(const std::string& status, bool json, bool watch) {
    if (watch && isatty(1) != 0)
        // Top left, then clear (ECMA-48): no library for two codes.
        fmt::print("\x1b[H\x1b[2J");
    if (json)
        fmt::print("{}\n", status);
    else
        print_status(status);
    std::fflush(stdout);
}

} // namespace

int status(const Common& common, const StatusOptions& options) {
    // Whatever is wrong with the file, and with whatever it names: the daemon that runs can be asked.
    Config config;
    config.control_socket = find_control_socket(common.config);
    bool was_seen = false;
    do { // NOLINT(bugprone-infinite-loop): --watch ends with the process
        const DaemonAnswer answer = ask(config, "status", "", seconds(10));
        if (answer.is_running && answer.exit_code != done)
            return answer.exit_code;
        if (answer.is_running)
            show(answer.result, common.json, options.watch);
        else
            print_line(stderr, "the daemon does not run (nobody answers on {})",
                       config.control_socket.string());
        was_seen = was_seen || answer.is_running;
        if (!was_seen)
            return unavailable; // once seen, who watches wants to see it come back
        if (options.watch)
            std::this_thread::sleep_for(seconds(2));
    } while (options.watch);
    return done;
}

} // namespace things::cli
