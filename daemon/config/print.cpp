// SPDX-License-Identifier: Apache-2.0
#include "config/keys.hpp"
#include "config/scalar.hpp"
#include "config/summary.hpp"
#include "config/words.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

// Matches the platform's pattern, so that the printed file loads.
constexpr const char* masked = "MASKEDMASKEDMASKEDMASKEDMASKED";

using FindPlugin = std::function<const PluginDescription*(const std::string&)>;
using Words = std::vector<std::string>;

std::string duration(Milliseconds value) {
    return duration_text(value.count());
}

std::string path_text(const std::filesystem::path& path) {
    std::error_code error;
    // The printed file must mean the same wherever it is put.
    const std::filesystem::path full = std::filesystem::absolute(path, error);
    return yaml_text((error ? path : full).lexically_normal().string());
}

std::string choice_text(Table table, std::string_view key, std::size_t index) {
    const auto same = [key](const Key& entry) {
        return entry.name == key;
    };
    return std::string(split_words(std::find_if(table.begin(), table.end(), same)->choices)[index]);
}

const char* boolean(bool value) {
    return value ? "true" : "false";
}

const KeyDescription* find_key(const PluginDescription* plugin, const std::string& name, Level level) {
    const KeyDescription* other = nullptr;
    for (std::size_t i = 0; plugin && i < plugin->keys.size(); ++i) {
        const KeyDescription& key = plugin->keys[i];
        if (key.name != name)
            continue;
        if (key.level == level)
            return &key;
        other = &key;
    }
    return other;
}

/// `origin` as in Setting and DeviceConfig.
std::string secret_text(const std::string& origin) {
    const std::size_t space = origin.find(' ');
    // Only a secret that stands in the file itself has no name to print.
    if (space == std::string::npos)
        return masked;
    const std::string kind = origin.substr(0, space), name = origin.substr(space + 1);
    return fmt::format("{{{}: {}}}", kind, kind == "file" ? path_text(name) : yaml_text(name));
}

void add_settings(Words& words, const std::vector<Setting>& settings, const PluginDescription* plugin,
                  Level level) {
    for (const Setting& setting : settings) {
        const std::string origin =
            setting.secret && !setting.items.empty() ? std::get<std::string>(setting.items.front()) : "text";
        words.push_back(fmt::format("{}: {}", setting.key,
                                    origin != "text"
                                        ? secret_text(origin)
                                        : yaml_setting(setting, find_key(plugin, setting.key, level))));
    }
}

std::string web_text(const WebConfig& web) {
    if (!web.on)
        return "web: null\n";
    const bool is_ipv6 = web.address.find(':') != std::string::npos;
    const std::string listen =
        fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", web.address, is_ipv6 ? "]" : "", web.port);
    Words names;
    for (const std::string& name : web.names)
        names.push_back(yaml_text(name));
    const std::string tls =
        fmt::format("{{cert_file: {}, key_file: {}}}", path_text(web.cert_file), path_text(web.key_file));
    return fmt::format("web: {{listen: {}, socket: {}, names: [{}], tls: {}, password: {}}}\n",
                       web.address.empty() ? "null" : yaml_text(listen),
                       web.socket.empty() ? "null" : path_text(web.socket), fmt::join(names, ", "),
                       web.cert_file.empty() ? "null" : tls,
                       web.password_origin.empty() ? "null" : secret_text(web.password_origin));
}

std::string daemon_text(const Config& config) {
    const ThingsConfig& things = config.things;
    std::string out =
        fmt::format("name: {}\nthings:\n  url: {}\n", config.name.empty() ? "null" : yaml_text(config.name),
                    yaml_text(things.url));
    out += fmt::format("  ca_file: {}\n", things.ca_file.empty() ? "null" : path_text(things.ca_file));
    const auto optional = [](const std::string& text) {
        return text.empty() ? std::string("null") : yaml_text(text);
    };
    out +=
        fmt::format("  proxy: {}\n  proxy_user: {}\n  proxy_password: {}\n  proxy_auth: {}\n",
                    optional(things.proxy), optional(things.proxy_user),
                    things.proxy_password_origin.empty() ? "null" : secret_text(things.proxy_password_origin),
                    choice_text(things_keys(), "proxy_auth", static_cast<std::size_t>(things.proxy_auth)));
    out += fmt::format("  connect_timeout: {}\n  timeout: {}\n  parallel: {}\n",
                       duration(things.connect_timeout), duration(things.timeout), things.parallel);
    out += fmt::format("  retry: {{initial: {}, max: {}}}\n", duration(things.retry_initial),
                       duration(things.retry_max));
    out += fmt::format("  min_interval: {}\n  downlink_poll: {}\n", duration(things.min_interval),
                       duration(things.downlink_poll));
    out += fmt::format("batch: {{max_age: {}, max_records: {}, max_bytes: {}}}\n",
                       duration(config.batch.max_age), config.batch.max_records,
                       size_text(config.batch.max_bytes));
    const QueueConfig& queue = config.queue;
    out +=
        fmt::format("queue:\n  path: {}\n  hot_path: {}\n", path_text(queue.path), path_text(queue.hot_path));
    out += fmt::format("  commit_interval: {}\n  max_size: {}\n  max_age: {}\n",
                       duration(queue.commit_interval), size_text(queue.max_size), duration(queue.max_age));
    out += fmt::format("  when_full: {}\n",
                       choice_text(queue_keys(), "when_full", static_cast<std::size_t>(queue.when_full)));
    out += fmt::format("  audit_age: {}\n  keep_removed: {}\n", duration(queue.audit_age),
                       boolean(config.keep_removed));
    out += fmt::format("time: {{require_sync: {}, unsynced: {}}}\n", boolean(config.time.require_sync),
                       choice_text(time_keys(), "unsynced", static_cast<std::size_t>(config.time.unsynced)));
    out += web_text(config.web);
    out += fmt::format("control: {{socket: {}}}\n", path_text(config.control_socket));
    out += fmt::format("log: {{level: {}}}\n",
                       choice_text(log_keys(), "level", static_cast<std::size_t>(config.log_level)));
    return out + fmt::format("writes: {}\n", boolean(config.writes));
}

std::string source_text(const SourceConfig& source, const PluginDescription* plugin) {
    Words words{fmt::format("plugin: {}", yaml_text(source.plugin))};
    if (source.isolation != Isolation::automatic)
        words.push_back(
            fmt::format("isolation: {}", source.isolation == Isolation::process ? "process" : "none"));
    words.push_back(fmt::format("writes: {}", boolean(source.writes)));
    words.push_back(fmt::format("allow_overload: {}", boolean(source.allow_overload)));
    add_settings(words, source.settings, plugin, Level::source);
    return fmt::format("  {}: {{{}}}\n", yaml_text(source.name), fmt::join(words, ", "));
}

std::string report_text(const Report& report) {
    Words words{fmt::format("on_change: {}", boolean(report.on_change))};
    if (report.on_change)
        words.push_back(fmt::format("deadband: {}, heartbeat: {}", number_text(report.deadband),
                                    duration(report.heartbeat)));
    if (report.aggregate != Aggregate::none)
        words.push_back(fmt::format(
            "aggregate: {}, window: {}",
            choice_text(report_keys(), "aggregate", static_cast<std::size_t>(report.aggregate) - 1),
            duration(report.window)));
    return fmt::format("report: {{{}}}", fmt::join(words, ", "));
}

std::string writable_text(const Writable& writable) {
    Words words;
    if (writable.min)
        words.push_back(fmt::format("min: {}", number_text(*writable.min)));
    if (writable.max)
        words.push_back(fmt::format("max: {}", number_text(*writable.max)));
    if (writable.max_step)
        words.push_back(fmt::format("max_step: {}", number_text(*writable.max_step)));
    if (!writable.allowed.empty()) {
        Words values;
        for (const Value& value : writable.allowed)
            values.push_back(yaml_value(value));
        words.push_back(fmt::format("allowed: [{}]", fmt::join(values, ", ")));
    }
    words.push_back(fmt::format("min_interval: {}, ttl: {}, repeat_window: {}",
                                duration(writable.min_interval), duration(writable.ttl),
                                duration(writable.repeat_window)));
    if (writable.momentary)
        words.emplace_back("momentary: true");
    else
        words.push_back(
            fmt::format("settle: {}, retry: {}", duration(writable.settle), boolean(writable.retry)));
    if (writable.revert)
        words.push_back(fmt::format("revert: {{after: {}, to: {}}}", duration(writable.revert->after),
                                    yaml_value(writable.revert->to)));
    if (!writable.outcome.empty())
        words.push_back(fmt::format("outcome: {}", yaml_text(writable.outcome)));
    return fmt::format("writable: {{{}}}", fmt::join(words, ", "));
}

std::string point_text(const DeviceConfig& device, const PointConfig& point,
                       const PluginDescription* plugin) {
    Words words{fmt::format("name: {}", yaml_text(point.name))};
    if (!point.unit.empty())
        words.push_back(fmt::format("unit: {}", yaml_text(point.unit)));
    if (point.source != device.source)
        words.push_back(fmt::format("source: {}", yaml_text(point.source)));
    if (point.write_only)
        words.emplace_back("write_only: true");
    else
        words.push_back(fmt::format("interval: {}", duration(point.interval)));
    add_settings(words, point.settings, plugin, Level::point);
    if (!(point.report == Report{}))
        words.push_back(report_text(point.report));
    if (!point.labels.empty()) {
        Words labels;
        for (const auto& [raw, word] : point.labels)
            labels.push_back(fmt::format("{}: {}", raw, yaml_text(word)));
        words.push_back(fmt::format("labels: {{{}}}", fmt::join(labels, ", ")));
    }
    if (point.writable)
        words.push_back(writable_text(*point.writable));
    return fmt::format("      - {{{}}}\n", fmt::join(words, ", "));
}

// The plugins of the sources, looked up once.
class Plugins {
public:
    Plugins(const Config& config, const FindPlugin& find_plugin) {
        for (const SourceConfig& source : config.sources)
            known_[source.name] = find_plugin ? find_plugin(source.plugin) : nullptr;
    }
    [[nodiscard]] const PluginDescription* of(const std::string& source) const {
        const auto found = known_.find(source);
        return found == known_.end() ? nullptr : found->second;
    }

private:
    std::map<std::string, const PluginDescription*> known_;
};

std::string device_text(const DeviceConfig& device, const Plugins& plugins) {
    std::string out = fmt::format("  - name: {}\n    dvnuuid: {}\n    secret: {}\n", yaml_text(device.name),
                                  yaml_text(device.dvnuuid), secret_text(device.secret_origin));
    if (!device.source.empty())
        out += fmt::format("    source: {}\n", yaml_text(device.source));
    out += fmt::format("    interval: {}\n    commands: {}\n", duration(device.interval),
                       choice_text(device_keys(), "commands", static_cast<std::size_t>(device.commands)));
    Words settings;
    add_settings(settings, device.settings, plugins.of(device.source), Level::device);
    for (const std::string& setting : settings)
        out += fmt::format("    {}\n", setting);
    if (!device.profile.empty())
        out += fmt::format("    # points of profile {}, with what was added and changed\n", device.profile);
    out += device.points.empty() ? "    points: []\n" : "    points:\n";
    for (const PointConfig& point : device.points)
        out += point_text(device, point, plugins.of(point.source));
    return out;
}

} // namespace

std::string print_config(const Config& config, const FindPlugin& find_plugin) {
    const Plugins plugins(config, find_plugin);
    std::string out = daemon_text(config);
    out += config.sources.empty() ? "sources: {}\n" : "sources:\n";
    for (const SourceConfig& source : config.sources)
        out += source_text(source, plugins.of(source.name));
    out += config.devices.empty() ? "devices: []\n" : "devices:\n";
    for (const DeviceConfig& device : config.devices)
        out += device_text(device, plugins);
    return out;
}

} // namespace things
