// SPDX-License-Identifier: Apache-2.0
#include "cli/print.hpp"
#include "cli/setup.hpp"

#include "config/isolation.hpp"
#include "config/schema.hpp"
#include "config/summary.hpp"
#include "platform/clock.hpp"
#include "platform/json.hpp"
#include "platform/socket_file.hpp"
#include "platform/storage.hpp"
#include "polling/capacity.hpp"
#include "status/web_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace things::cli {

namespace {

std::string problems_json(const std::vector<Problem>& problems) {
    JsonWriter json;
    json.object().member("ok", false).key("problems").array();
    for (const Problem& problem : problems)
        json.object()
            .member("file", problem.place.file)
            .member("line", problem.place.line)
            .member("column", problem.place.column)
            .member("severity", problem.severity == Severity::error ? "error" : "warning")
            .member("message", problem.message)
            .end();
    return json.end().end().take();
}

/// Page and control socket are opened as the daemon would: what is in the way does not keep it from its job,
/// but nobody could look. A gateway that runs has them already.
void try_side_doors(const Config& config) {
    if (SocketFile::is_answered(config.control_socket))
        return;
    WebConfig web = config.web;
    web.socket.clear();
    boost::asio::io_context loop;
    WebServer server(loop, web, {});
    if (const std::string problem = server.listen(); web.on && !problem.empty())
        print_line(stderr, "warning: {}; without it there is no page and there are no metrics", problem);
    for (const auto& [key, path] :
         {std::pair{"web.socket", config.web.socket}, std::pair{"control.socket", config.control_socket}})
        if (const std::string problem = SocketFile::obstacle(path); !path.empty() && !problem.empty())
            print_line(stderr, "warning: {} {}: {}", key, path.string(), problem);
}

/// Whether the point switches something, by the keys that the shipped plugins have for it.
bool is_coil(const PointConfig& point) {
    return std::any_of(point.settings.begin(), point.settings.end(), [](const Setting& setting) {
        const auto* entity = std::get_if<std::string>(&setting.value);
        return setting.key == "coil" ||
               (setting.key == "entity" && entity != nullptr && entity->size() > 1 && entity->front() == '0');
    });
}

/// A relay has some 100,000 cycles, which whoever speaks for the platform can spend in a day.
void warn_of_wear(const Config& config, std::vector<Problem>& problems) {
    for (const DeviceConfig& device : config.devices)
        for (const PointConfig& point : device.points)
            if (point.writable && point.writable->min_interval.count() == 0 && is_coil(point))
                problems.push_back(
                    {point.place, Severity::warning,
                     fmt::format("writable: {} is a coil, and each command may switch it; a relay wears out. "
                                 "Add min_interval, such as {{min_interval: 10s}}",
                                 point.name)});
}

/// A line in the configuration takes a wall away that whoever wrote the program may count on.
void warn_of_reach(const Config& config, PluginDirectory& plugins, std::vector<Problem>& problems) {
    for (const SourceConfig& source : config.sources)
        if (const auto library = plugins.find(source.plugin))
            if (const std::string reach = reach_of(source, library->description()); !reach.empty())
                problems.push_back({source.place, Severity::warning, reach});
}

/// Where systemd looks first.
std::vector<std::filesystem::path> unit_folders() {
    return {"/etc/systemd/system", "/usr/lib/systemd/system"};
}

} // namespace

int check(const Common& common, const CheckOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    CheckRules rules;
    std::filesystem::path file = common.config;
    if (common.config == "-" || !options.base.empty()) {
        rules.text_from = common.config;
        file = options.base / (common.config == "-" ? "standard-input" : common.config.filename());
    }
    // Secrets are read as well: a file that is missing, or open to all, is a mistake like any other.
    Checked checked =
        check_config(file, plugins, options.no_secrets ? Secrets::elsewhere : Secrets::to_check, rules);
    print_problems(plugins);
    if (checked.config && rules.text_from.empty()) // else it is for another machine
        if (const std::string problem = storage_problem(checked.config->queue.path, system_storage());
            !problem.empty())
            checked.problems.push_back({{common.config.string(), 0, 0}, Severity::warning, problem});
    if (checked.config) {
        warn_of_wear(*checked.config, checked.problems);
        warn_of_reach(*checked.config, plugins, checked.problems);
    }
    for (const Problem& problem : checked.problems)
        fmt::print(stderr, "{}\n", problem.text());
    if (!checked.config) {
        if (common.json)
            fmt::print("{}\n", problems_json(checked.problems));
        return configuration;
    }
    if (!options.no_secrets) { // else this is not the gateway
        try_side_doors(*checked.config);
        for (const std::string& shortage :
             shortages(needs_of(make_work(*checked.config), plugins), limits_of_service(unit_folders())))
            print_line(stderr, "warning: {}", shortage);
        // Of this machine, not of the configuration: no problem with a place in a file.
        if (checked.config->time.require_sync && !SystemClock().is_synchronised())
            print_line(
                stderr,
                "note: this machine's clock is not synchronised (timedatectl shows why). Here, readings "
                "would be held back: clock, until it is, or until the platform's answers agree with it");
    }
    if (options.print)
        fmt::print("{}", print_config(*checked.config, load_options(file, plugins).find_plugin));
    else if (common.json)
        fmt::print("{}\n", summary_json(*checked.config, checked.plans));
    else
        fmt::print("{}", summary_text(*checked.config, checked.plans, {options.plan, options.points}));
    return done;
}

int schema(const Common& common) {
    std::vector<const PluginDescription*> descriptions;
    PluginDirectory plugins = installed_plugins(common);
    const auto all = plugins.find_all();
    print_problems(plugins);
    descriptions.reserve(all.size());
    for (const auto& plugin : all)
        descriptions.push_back(&plugin->description());
    fmt::print("{}\n", config_schema(descriptions));
    return done;
}

} // namespace things::cli
