// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.hpp"

#include "cli/setup.hpp"
#include "config/profiles.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string_view>

namespace things::cli {

namespace {

struct Candidate {
    std::string word, meaning;
};
using Candidates = std::vector<Candidate>;

/// The line up to the word that is asked for.
struct Line {
    const CLI::App* app = nullptr;
    const CLI::App* root = nullptr;
    const CLI::Option* pending = nullptr; ///< an option that waits for its value
    std::vector<std::string> positionals;
    Common common;
};

const CLI::Option* find_option(const Line& line, const std::string& name) {
    const CLI::Option* own = line.app->get_option_no_throw(name);
    return own ? own : line.root->get_option_no_throw(name); // global ones may stand behind a subcommand
}

bool takes_value(const CLI::Option* option) {
    return option && option->get_items_expected_max() > 0;
}

const CLI::App* find_subcommand(const CLI::App& app, const std::string& name) {
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
        if (sub->get_name() == name)
            return sub;
    return nullptr;
}

void note_value(Line& line, const CLI::Option* option, const std::string& value) {
    if (option->check_name("--config"))
        line.common.config = value;
    else if (option->check_name("--plugin-dir"))
        line.common.plugin_dirs.emplace_back(value);
}

void take(Line& line, const std::string& word) {
    if (word == "=") // bash makes three words of --config=FILE
        return;
    if (line.pending) {
        note_value(line, line.pending, word);
        line.pending = nullptr;
        return;
    }
    // A single dash is a word.
    if (word.size() > 1 && word[0] == '-') {
        const std::size_t equals = word.find('=');
        const CLI::Option* option = find_option(line, word.substr(0, equals));
        if (equals == std::string::npos && takes_value(option))
            line.pending = option;
        else if (equals != std::string::npos && option)
            note_value(line, option, word.substr(equals + 1));
        return;
    }
    // Behind a first argument no subcommand can follow.
    const CLI::App* sub = line.positionals.empty() ? find_subcommand(*line.app, word) : nullptr;
    if (sub)
        line.app = sub;
    else
        line.positionals.push_back(word);
}

/// The choices of an option: CLI11 knows them as "TEXT:{yaml,csv}" only.
Candidates choices(const CLI::Option& option) {
    Candidates found;
    const std::string type = option.get_type_name();
    const std::size_t begin = type.find('{'), end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos)
        return found;
    std::string_view words = std::string_view(type).substr(begin + 1, end - begin - 1);
    while (!words.empty()) {
        const std::size_t comma = words.find(',');
        found.push_back({std::string(words.substr(0, comma)), ""});
        words = comma == std::string_view::npos ? std::string_view() : words.substr(comma + 1);
    }
    return found;
}

std::optional<Config> read_config(const Line& line) {
    PluginDirectory plugins = find_plugins(line.common);
    LoadOptions options = load_options(line.common.config, plugins);
    options.read_secrets = false; // names only; whoever presses a key need not be the service
    return load(line.common.config, options).config;
}

Candidates devices(const Line& line) {
    Candidates found;
    if (const auto config = read_config(line))
        for (const DeviceConfig& device : config->devices)
            found.push_back({device.name, device.profile});
    return found;
}

Candidates points(const Line& line) {
    Candidates found;
    const auto config = line.positionals.empty() ? std::nullopt : read_config(line);
    const bool writes = line.app->get_name() == "write";
    for (std::size_t d = 0; config && d < config->devices.size(); ++d)
        if (config->devices[d].name == line.positionals.front())
            for (const PointConfig& point : config->devices[d].points)
                if (!writes || point.writable)
                    found.push_back({point.name, point.unit});
    return found;
}

Candidates sources(const Line& line) {
    Candidates found;
    if (const auto config = read_config(line))
        for (const SourceConfig& source : config->sources)
            found.push_back({source.name, source.plugin});
    return found;
}

Candidates plugins(const Line& line) {
    Candidates found;
    for (const auto& plugin : find_plugins(line.common).find_all())
        found.push_back({plugin->description().name, plugin->description().summary});
    return found;
}

Candidates profiles(const Line& line) {
    Candidates found;
    std::vector<Problem> ignored;
    for (const ProfileInfo& profile : list_profiles(profile_directories(line.common.config), ignored))
        found.push_back({profile.name, profile.product});
    return found;
}

Candidates values(const Line& line, const CLI::Option& option) {
    const bool is_positional = option.get_positional() && option.nonpositional() == false;
    const std::string name = is_positional ? option.get_name(true) : option.get_name();
    const std::string parent = line.app->get_parent() ? line.app->get_parent()->get_name() : "";
    if (name == "DEVICE" || name == "--device")
        return devices(line);
    if (name == "POINT")
        return points(line);
    if (name == "SOURCE" || name == "--source")
        return sources(line);
    if (name == "--profile" || (name == "NAME" && parent == "profiles"))
        return profiles(line);
    if (name == "NAME" && parent == "plugins")
        return plugins(line);
    if (name == "--config" || name == "--portal" || name == "FILE")
        return {{":files", ""}};
    if (name == "--plugin-dir" || name == "--directory")
        return {{":directories", ""}};
    return choices(option);
}

Candidates options(const Line& line) {
    Candidates found;
    for (const CLI::App* app : {line.app, line.root}) {
        for (const CLI::Option* option : app->get_options([](const CLI::Option*) { return true; }))
            for (const std::string& name : option->get_lnames())
                found.push_back({"--" + name, option->get_description()});
        if (line.app == line.root)
            break;
    }
    return found;
}

Candidates next_words(const Line& line) {
    Candidates found;
    if (line.positionals.empty())
        for (const CLI::App* sub : line.app->get_subcommands([](const CLI::App*) { return true; }))
            found.push_back({sub->get_name(), sub->get_description()});
    const auto positionals =
        line.app->get_options([](const CLI::Option* option) { return option->get_positional(); });
    if (positionals.empty())
        return found;
    const std::size_t index = std::min(line.positionals.size(), positionals.size() - 1);
    const bool has_room =
        line.positionals.size() < positionals.size() || positionals[index]->get_items_expected_max() > 1;
    if (has_room)
        for (Candidate& value : values(line, *positionals[index]))
            found.push_back(std::move(value));
    return found;
}

} // namespace

void complete(const CLI::App& app, const std::vector<std::string>& words) {
    Line line;
    line.app = line.root = &app;
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        take(line, words[i]);
    std::string begun = words.empty() || words.back() == "=" ? std::string() : words.back();
    Candidates found = line.pending                        ? values(line, *line.pending)
                       : !begun.empty() && begun[0] == '-' ? options(line)
                                                           : next_words(line);
    for (const Candidate& candidate : found)
        if (candidate.word[0] == ':')
            fmt::print("{}\n", candidate.word);
        else if (candidate.word.compare(0, begun.size(), begun) == 0)
            fmt::print("{}\t{}\n", candidate.word, candidate.meaning);
}

} // namespace things::cli
