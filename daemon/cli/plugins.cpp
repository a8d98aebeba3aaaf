// SPDX-License-Identifier: Apache-2.0
#include "cli/print.hpp"
#include "cli/setup.hpp"

#include "platform/json.hpp"
#include "polling/conformance.hpp"
#include "setting_words.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace things::cli {

namespace {

std::string abilities(const PluginDescription& plugin) {
    std::string text;
    const auto note = [&text](bool has, const char* word) {
        if (has)
            text += std::string(text.empty() ? "" : ", ") + word;
    };
    note(plugin.polls, "polls");
    note(plugin.listens, "listens");
    note(plugin.writes, "writes");
    note(plugin.discovers, "scans");
    note(plugin.plans, "plans");
    return text;
}

std::string key_line(const KeyDescription& key) {
    std::string line = fmt::format("  {:<18} {}", key.name, word_of(key.type));
    if (!key.choices.empty()) {
        line += " of";
        for (const std::string& choice : key.choices)
            line += ' ' + choice;
    }
    if (key.minimum != 0 || key.maximum != 0)
        line += fmt::format(" from {} to {}{}", key.minimum, key.maximum,
                            key.type == SettingType::duration ? " ms" : "");
    if (!key.unit.empty())
        line += ", in " + key.unit;
    if (!key.fallback.empty())
        line += ", default " + key.fallback;
    if (key.required)
        line += ", required";
    if (!key.group.empty())
        line += fmt::format(", one of the {} keys", key.group);
    if (key.inherit)
        line += ", a point may override it";
    return line;
}

void describe(JsonWriter& json, const PluginDescription& plugin) {
    json.object()
        .member("name", plugin.name)
        .member("version", plugin.version)
        .member("summary", plugin.summary)
        .member("shipped", plugin.shipped)
        .member("abilities", abilities(plugin))
        .key("keys")
        .array();
    for (const KeyDescription& key : plugin.keys) {
        json.object()
            .member("level", word_of(key.level))
            .member("name", key.name)
            .member("type", word_of(key.type))
            .member("unit", key.unit)
            .member("default", key.fallback)
            .member("required", key.required)
            .member("group", key.group)
            .member("help", key.help)
            .key("choices")
            .array();
        for (const std::string& choice : key.choices)
            json.value(choice);
        json.end().end();
    }
    json.end().end();
}

std::optional<SourceWork> find_work(const Config& config, const std::string& source) {
    for (SourceWork& work : make_work(config).sources)
        if (work.config.name == source && !work.points.empty())
            return std::move(work);
    print_line(stderr, "error: the configuration has no source \"{}\" with points", source);
    return std::nullopt;
}

} // namespace

int plugins_list(const Common& common) {
    PluginDirectory plugins = installed_plugins(common);
    const auto all = plugins.find_all();
    print_problems(plugins);
    JsonWriter json;
    json.array();
    for (const auto& plugin : all) {
        const PluginDescription& description = plugin->description();
        if (common.json)
            describe(json, description);
        else
            print_line("{:<12} {:<8} {} ({}{})", description.name, description.version, description.summary,
                       abilities(description), description.shipped ? "" : ", in a process of its own");
    }
    if (common.json)
        fmt::print("{}\n", json.end().take());
    if (all.empty())
        print_line(stderr, "no plugin in {}", plugin_directories(common).front().string());
    return all.empty() ? failed : done;
}

int plugins_show(const Common& common, const std::string& name) {
    PluginDirectory plugins = installed_plugins(common);
    const auto plugin = plugins.find(name);
    print_problems(plugins);
    if (!plugin) {
        print_line(stderr, "error: there is no plugin \"{}\" in {}", name,
                   plugin_directories(common).front().string());
        return failed;
    }
    const PluginDescription& description = plugin->description();
    if (common.json) {
        JsonWriter json;
        describe(json, description);
        fmt::print("{}\n", json.take());
        return done;
    }
    print_line("{} {}: {}", description.name, description.version, description.summary);
    print_line("{}", abilities(description));
    for (const Level level : {Level::source, Level::device, Level::point}) {
        print_line("");
        print_line("keys of a {}:", word_of(level));
        for (const KeyDescription& key : description.keys)
            if (key.level == level) {
                print_line("{}", key_line(key));
                print_line("  {:<18} {}", "", key.help);
            }
    }
    return done;
}

int plugins_test(const Common& common, const std::filesystem::path& file, const std::string& source) {
    SourceWork work; // none: settings are made up
    if (!source.empty()) {
        Common with_file = common;
        with_file.plugin_dirs = plugin_directories(common);
        // The plugin under test may not be installed, and the configuration names it.
        with_file.plugin_dirs.push_back(std::filesystem::absolute(file).parent_path());
        PluginDirectory plugins = installed_plugins(with_file);
        const std::optional<Config> config = load_config(common, plugins);
        if (!config)
            return configuration;
        auto found = find_work(*config, source);
        if (!found)
            return failed;
        work = std::move(*found);
    }
    const bool ok = test_plugin(file, std::move(work), {}, [](const Finding& finding) {
        const char* grade = finding.grade == Finding::Grade::pass      ? "ok  "
                            : finding.grade == Finding::Grade::warning ? "warn"
                                                                       : "FAIL";
        print_line("{} {}{}{}", grade, finding.what, finding.text.empty() ? "" : ": ", finding.text);
    });
    return ok ? done : failed;
}

} // namespace things::cli
