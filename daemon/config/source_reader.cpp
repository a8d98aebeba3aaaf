// SPDX-License-Identifier: Apache-2.0
#include "config/source_reader.hpp"

#include "config/names.hpp"
#include "config/nearest.hpp"
#include "config/settings_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace things {

namespace {

/// Another gateway's word for the plugin, as `type: modbus`, or `plugin:modbus` without its space: an error
/// by its name, but what else is wrong can be told with it.
std::string misnamed_plugin(const Entries& entries) {
    constexpr std::string_view tight = "plugin:";
    for (const auto& [key, value] : entries) {
        if (key->text.compare(0, tight.size(), tight) == 0)
            return key->text.substr(tight.size());
        if (value->is_scalar() && !nearest(key->text, {"plugin"}).empty())
            return value->text;
    }
    return {};
}

} // namespace

void SourceReader::read(const Node& sources, std::vector<SourceConfig>& list) {
    if (!sources.is_map()) {
        problems_.error(sources.place(),
                        fmt::format("sources: expected names with settings, such as plc: {{plugin: modbus, "
                                    "host: 192.0.2.20}}, got {}",
                                    sources.kind_name()));
        return;
    }
    for (const auto& [name, body] : entries_of(sources))
        read_source(*name, *body, list);
}

void SourceReader::read_source(const Node& name, const Node& body, std::vector<SourceConfig>& list) {
    SourceConfig source;
    source.name = name.text;
    source.place = name.place();
    std::string why;
    if (!is_plain_name(name.text, why))
        problems_.error(name.place(), fmt::format("source name {}: {}", quote(name.text), why));
    const auto found = sources_.find(name.text);
    if (found != sources_.end()) {
        problems_.error(name.place(), fmt::format("source {} is given twice, first at {}; names must differ",
                                                  quote(name.text), found->second.place.text()));
        return;
    }
    KnownSource& known = sources_[name.text];
    known.place = name.place();
    if (!body.is_map()) {
        problems_.error(
            body.is_null() ? name.place() : body.place(),
            fmt::format("source {}: expected settings such as {{plugin: modbus, host: 192.0.2.20}}, got {}",
                        quote(name.text), body.kind_name()));
        return;
    }
    const Entries entries = entries_of(body);
    Section section("source", name.place(), entries, source_keys(), problems_);
    section.read("plugin", source.plugin);
    if (!section.has("plugin"))
        source.plugin = misnamed_plugin(entries);
    if (!source.plugin.empty())
        known.plugin = find_plugin(section, source.plugin);
    section.check_names(other_keys(known.plugin, Level::source));
    if (const std::optional<std::size_t> choice = section.choice("isolation"))
        source.isolation = *choice == 0 ? Isolation::process : Isolation::none;
    section.read("writes", source.writes);
    section.read("allow_overload", source.allow_overload);
    if (known.plugin)
        source.settings = read_settings(*known.plugin, Level::source, entries, source_keys(), "source",
                                        name.place(), options_, problems_);
    list.push_back(std::move(source));
}

const PluginDescription* SourceReader::find_plugin(const Section& section, const std::string& name) {
    if (!options_.find_plugin)
        return nullptr;
    if (const PluginDescription* plugin = options_.find_plugin(name))
        return plugin;
    const std::vector<std::string>& names = options_.plugin_names;
    if (std::find(names.begin(), names.end(), name) != names.end()) {
        problems_.error(section.place("plugin"),
                        fmt::format("plugin {} is installed and cannot be loaded; a warning beside this "
                                    "says why",
                                    quote(name)));
        return nullptr;
    }
    problems_.error(section.place("plugin"),
                    fmt::format("there is no plugin {}{}", quote(name),
                                names.empty() ? "; none is installed" : hint(name, names)));
    // With a slip in the name the rest is checked as if it were right.
    return options_.find_plugin(nearest(name, {names.begin(), names.end()}));
}

} // namespace things
