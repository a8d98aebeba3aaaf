// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/open_bus.hpp"
#include "cli/print.hpp"
#include "cli/queue_owner.hpp"

#include "config/nearest.hpp"
#include "platform/json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <cstdio>
#include <utility>

#include <unistd.h>

namespace things::cli {

namespace {

/// The options by the names that plugins document, as text; numbers are numbers again on the way in.
std::vector<std::pair<std::string, std::vector<std::string>>> named(const ScanOptions& options) {
    std::vector<std::pair<std::string, std::vector<std::string>>> all;
    const auto number = [&all](const char* key, int value) {
        if (value >= 0)
            all.push_back({key, {std::to_string(value)}});
    };
    number("unit", options.unit);
    number("explain", options.explain);
    number("from", options.from);
    number("to", options.to);
    number("count", options.count);
    if (!options.units.empty())
        all.push_back({"units", {options.units}});
    if (!options.table.empty())
        all.push_back({"table", {options.table}});
    if (!options.bauds.empty()) {
        all.push_back({"baud", {}});
        for (const int baud : options.bauds)
            all.back().second.push_back(std::to_string(baud));
    }
    return all;
}

std::string request_of(const ScanOptions& options) {
    JsonWriter json;
    json.object().member("source", options.source);
    for (const auto& [key, values] : named(options)) {
        json.key(key).array();
        for (const std::string& value : values)
            json.value(value);
        json.end();
    }
    return json.end().take();
}

std::vector<Setting> settings_of(const ScanOptions& options) {
    std::vector<Setting> settings;
    for (const auto& [key, values] : named(options)) {
        Setting setting;
        setting.key = key;
        for (const std::string& text : values) {
            std::int64_t n = 0;
            const auto end = std::from_chars(text.data(), text.data() + text.size(), n);
            const bool is_number = end.ec == std::errc() && end.ptr == text.data() + text.size();
            setting.items.emplace_back(is_number ? Scalar(n) : Scalar(text));
        }
        setting.value = setting.items.front();
        settings.push_back(std::move(setting));
    }
    return settings;
}

/// Prints results as they come: JSON lines, or "key value" pairs for people; progress on a terminal only.
class Printer {
public:
    explicit Printer(bool json) : json_(json), bar_(isatty(2) != 0) {}
    void found(const std::string& line) {
        clear();
        ++found_;
        simdjson::dom::object object;
        if (json_ || parser_.parse(line).get(object) != simdjson::SUCCESS) {
            fmt::print("{}\n", printable_json(line));
        } else {
            std::string text;
            for (const auto [key, value] : object)
                text += fmt::format("{}{} {}", text.empty() ? "" : "  ", key,
                                    value.is_string() ? std::string(std::string_view(value))
                                                      : simdjson::minify(value));
            print_line("{}", text);
        }
        // A scan takes minutes, and its results may go into a pipe.
        std::fflush(stdout);
    }
    void progress(double part) {
        if (!bar_)
            return;
        const int width = static_cast<int>(part * 40);
        fmt::print(stderr, "\r[{:<40}] {:3.0f} %", std::string(static_cast<std::size_t>(width), '#'),
                   part * 100);
    }
    void clear() const {
        if (bar_)
            fmt::print(stderr, "\r{:50}\r", "");
    }
    [[nodiscard]] int found() const { return found_; }

private:
    bool json_, bar_;
    int found_ = 0;
    simdjson::dom::parser parser_;
};

/// Prints the nearest name if there is no such source.
bool is_known(const Config& config, const std::string& source) {
    std::vector<std::string_view> names;
    for (const SourceConfig& known : config.sources) {
        if (known.name == source)
            return true;
        names.push_back(known.name);
    }
    print_line(stderr, "error: there is no source \"{}\"{}", source, hint(source, names));
    return false;
}

/// Whether the daemon has the bus open: not one that no point uses yet.
bool is_owned(const DaemonAnswer& answer) {
    simdjson::dom::parser parser;
    bool is_unused = false;
    return answer.is_running &&
           (parser.parse(answer.result)["unused"].get(is_unused) != simdjson::SUCCESS || !is_unused);
}

} // namespace

int scan(const Common& common, const ScanOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    if (!is_known(*config, options.source))
        return usage;
    Printer printer(common.json);
    const DaemonAnswer answer =
        ask(*config, "scan", request_of(options), minutes(5), [&printer](const std::string& line) {
            simdjson::dom::parser parser;
            simdjson::dom::element json;
            if (parser.parse(line).get(json) != simdjson::SUCCESS)
                return;
            double part = 0;
            if (json["part"].get(part) == simdjson::SUCCESS)
                printer.progress(part);
            simdjson::dom::element found;
            if (json["found"].get(found) == simdjson::SUCCESS)
                printer.found(simdjson::minify(found));
        });
    if (answer.exit_code == done && !is_owned(answer)) {
        const auto wanted = [&options](const SourceConfig& source) {
            return source.name == options.source;
        };
        give_up_root(*config, wanted);
        OpenBus bus(*config, plugins, wanted);
        const std::string error = bus.discover(
            options.source, settings_of(options),
            [&printer](const std::string& line) { printer.found(line); },
            [&printer](double part) { printer.progress(part); });
        printer.clear();
        if (!error.empty()) {
            print_line(stderr, "error: {}", error);
            return unavailable;
        }
    } else if (answer.exit_code != done) {
        printer.clear();
        return answer.exit_code;
    }
    printer.clear();
    if (printer.found() == 0)
        print_line(stderr, "nothing answered on \"{}\": check wiring, baud rate and parity, and power",
                   options.source);
    return printer.found() > 0 ? done : unavailable;
}

} // namespace things::cli
