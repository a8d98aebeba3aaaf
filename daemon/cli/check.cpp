// SPDX-License-Identifier: Apache-2.0
#include "cli/setup.hpp"

#include "config/manual.hpp"
#include "config/schema.hpp"
#include "config/summary.hpp"
#include "platform/json.hpp"

#include <fmt/format.h>

#include <cstdio>

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

} // namespace

int check(const Common& common, const CheckOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    // Secrets are read as well: a file that is missing, or open to all, is a mistake like any other.
    const Checked checked = check_config(common.config, plugins, Secrets::to_check);
    print_problems(plugins);
    for (const Problem& problem : checked.problems)
        fmt::print(stderr, "{}\n", problem.text());
    if (!checked.config) {
        if (common.json)
            fmt::print("{}\n", problems_json(checked.problems));
        return configuration;
    }
    if (options.print)
        fmt::print("{}", print_config(*checked.config, load_options(common.config, plugins).find_plugin));
    else if (common.json)
        fmt::print("{}\n", summary_json(*checked.config, checked.plans));
    else
        fmt::print("{}", summary_text(*checked.config, checked.plans));
    return done;
}

int schema(const Common& common, const SchemaOptions& options) {
    std::vector<const PluginDescription*> descriptions;
    PluginDirectory plugins = installed_plugins(common);
    const auto all = plugins.find_all();
    print_problems(plugins);
    for (const auto& plugin : all)
        descriptions.push_back(&plugin->description());
    if (options.format == "man")
        fmt::print("{}", config_manual(descriptions, THINGS_VERSION));
    else
        fmt::print("{}\n", config_schema(descriptions));
    return done;
}

} // namespace things::cli
