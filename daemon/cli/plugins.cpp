// SPDX-License-Identifier: Apache-2.0
#include "cli/print.hpp"
#include "cli/setup.hpp"

#include "model/setting_words.hpp"
#include "platform/json.hpp"

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

} // namespace things::cli
