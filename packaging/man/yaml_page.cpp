// SPDX-License-Identifier: Apache-2.0
// Prints kpn-things-gateway.yaml(5), made from the tables that validate the configuration:
//   things-yaml-page PLUGIN_DIR
// tests/config/manuals_test.py compares it with the page in this folder, and writes that page anew with
// --write.
#include "config/keys.hpp"
#include "config/scalar.hpp"
#include "model/setting_words.hpp"
#include "polling/plugin_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace things {

namespace {

constexpr std::string_view introduction = R"(.SH SYNOPSIS
.I /etc/kpn\-things\-gateway/gateway.yaml
.SH DESCRIPTION
One YAML file describes the gateway, its sources (a serial line, a TCP endpoint, a P1 port) and its devices with their
points.
.B include
adds files with further sources, devices and profiles.
A key that is left out has its default, and a key that is unknown is an error.
.B kpn\-things\-gateway check
finds all mistakes in one run, each with file, line and column;
.B systemctl reload kpn\-things\-gateway
brings a change into effect, and a wrong change is refused as a whole.
An editor completes and checks with the JSON Schema that
.B kpn\-things\-gateway schema
prints.
.PP
Durations are written
.BR 500ms ", " 10s ", " 5m ", " 2h ", " 7d ;
sizes
.BR 64KiB ", " 16MiB ", also " kB " and " MB .
Relative paths are relative to the file that names them.
.SH EXAMPLE
.EX
sources:
  plc: {plugin: modbus, host: 192.0.2.20}
devices:
  \- name: boiler
    dvnuuid: 6f1c2b9e\-4a57\-4d0b\-9c3e\-2f8a1d7e5b40
    secret: {file: secrets/boiler}
    source: plc
    unit_id: 1
    interval: 10s
    points:
      \- {name: temperature, unit: Cel, holding: 100, type: int16, scale: 0.1}
      \- {name: setpoint, unit: Cel, holding: 200, type: float32, writable: {min: 5, max: 30}}
.EE
)";

constexpr std::string_view end = R"(.SH FILES
.TP
.I /etc/kpn\-things\-gateway/gateway.yaml
The configuration, with every key and its default.
.TP
.I /etc/kpn\-things\-gateway/secrets/
Secret files of devices, for the service alone.
.TP
.I /etc/kpn\-things\-gateway/profiles/
Profiles of this machine's own, as
.IR NAME .yaml;
one with the name of a shipped profile takes its place.
.TP
.I /usr/share/kpn\-things\-gateway/profiles/
Profiles of known products.
.SH SEE ALSO
.BR kpn\-things\-gateway (1),
.BR things\-plugin (7)
)";

/// Text as groff shows it unchanged.
std::string roff(std::string_view text) {
    std::string out;
    if (!text.empty() && (text[0] == '.' || text[0] == '\''))
        out = "\\&";
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            // A plain one becomes a hyphen, which nobody can copy into a shell.
            out += "\\-";
        else
            out += c;
    }
    return out;
}

std::string_view word_of(KeyType type) {
    switch (type) {
    case KeyType::boolean:
        return "true or false";
    case KeyType::integer:
        return "whole number";
    case KeyType::number:
        return "number";
    case KeyType::text:
        return "text";
    case KeyType::duration:
        return "duration";
    case KeyType::size:
        return "size";
    case KeyType::choice:
        return "choice";
    case KeyType::path:
        return "file name";
    case KeyType::value:
        return "value";
    case KeyType::list:
        return "list";
    case KeyType::section:
        return "keys of its own";
    }
    return "";
}

std::string range_text(double minimum, double maximum, bool is_duration, bool is_size) {
    const auto text = [is_duration, is_size](double number) {
        if (is_duration)
            return duration_text(static_cast<std::int64_t>(number));
        return is_size ? size_text(static_cast<std::int64_t>(number)) : number_text(number);
    };
    if (minimum == 0 && maximum == 0)
        return {};
    if (maximum >= 1e300)
        return fmt::format(", at least {}", text(minimum));
    return fmt::format(", {} to {}", text(minimum), text(maximum));
}

/// One key: ".TP", its name, what it takes, what it means.
std::string entry(std::string_view name, const std::string& takes, std::string_view help) {
    return fmt::format(".TP\n.BR {} \" ({})\"\n{}\n", roff(name), roff(takes), roff(help));
}

std::string key_entry(const Key& key) {
    std::string takes(word_of(key.type));
    if (!key.choices.empty())
        takes = fmt::format("{}", fmt::join(split_words(key.choices), " | "));
    takes += range_text(key.minimum, key.maximum, key.type == KeyType::duration, key.type == KeyType::size);
    if (key.required)
        takes += ", required";
    else if (!key.fallback.empty())
        takes += fmt::format(", default {}", key.fallback);
    return entry(key.name, takes, key.help);
}

std::string key_entry(const KeyDescription& key) {
    std::string takes(key.secret ? "text, {file: F}, {credential: C} or {env: E}" : word_of(key.type));
    if (!key.choices.empty())
        takes = fmt::format("{}", fmt::join(key.choices, " | "));
    takes += range_text(key.minimum, key.maximum, key.type == SettingType::duration, false);
    if (!key.unit.empty() && key.type != SettingType::duration)
        takes += ", " + key.unit;
    if (key.required)
        takes += ", required";
    else if (!key.fallback.empty())
        takes += fmt::format(", default {}", key.fallback);
    if (!key.group.empty())
        takes += fmt::format(", one of the {} keys", key.group);
    if (key.inherit)
        takes += ", also of a point";
    return entry(key.name, takes, key.help);
}

std::string section(const SectionKeys& keys) {
    std::string help(keys.help);
    if (help[0] >= 'a' && help[0] <= 'z')
        help[0] = static_cast<char>(help[0] - 'a' + 'A');
    std::string out =
        fmt::format(".SS \"{}\"\n{}.\n", keys.path.empty() ? "main file" : roff(keys.path), roff(help));
    for (const Key& key : keys.table)
        out += key_entry(key);
    return out;
}

std::string plugin_section(const PluginDescription& plugin) {
    std::string out = fmt::format(".SS \"plugin: {}\"\n{}.\n", roff(plugin.name), roff(plugin.summary));
    for (const Level level : {Level::source, Level::device, Level::point}) {
        const auto is_here = [level](const KeyDescription& key) {
            return key.level == level;
        };
        if (std::none_of(plugin.keys.begin(), plugin.keys.end(), is_here))
            continue;
        out += fmt::format(".PP\nKeys of a {}:\n", word_of(level));
        for (const KeyDescription& key : plugin.keys)
            if (is_here(key))
                out += key_entry(key);
    }
    return out;
}

/// Same tables, same page; `plugins` in the order in which their keys are listed.
std::string page(const std::vector<const PluginDescription*>& plugins, std::string_view version) {
    std::string out = fmt::format(
        ".\\\" SPDX-License-Identifier: Apache-2.0\n"
        ".\\\" Generated from the tables that validate the configuration. Do not edit; write it with\n"
        ".\\\" tests/config/manuals_test.py GATEWAY PLUGIN_DIR YAML_PAGE --write\n"
        ".TH KPN\\-THINGS\\-GATEWAY.YAML 5 \"\" \"{}\" \"KPN Things gateway\"\n"
        ".SH NAME\n"
        "kpn\\-things\\-gateway.yaml \\- configuration of the KPN Things gateway\n",
        version);
    out += introduction;
    out += ".SH KEYS\n";
    for (const SectionKeys& keys : all_sections())
        out += section(keys);
    out += ".SS \"fleet as a table\"\nInstead of the list, or as one of its items.\n";
    for (const Key& key : fleet_keys())
        out += key_entry(key);
    out += ".SH \"KEYS OF PLUGINS\"\nThose of another installed plugin are printed by\n"
           ".BR \"kpn\\-things\\-gateway plugins show\" \" \\fINAME\\fR.\"\n";
    for (const PluginDescription* plugin : plugins)
        out += plugin_section(*plugin);
    out += end;
    return out;
}

} // namespace
} // namespace things

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: things-yaml-page PLUGIN_DIR\n");
        return 64;
    }
    things::PluginDirectory plugins({argv[1]}, argv[1], {});
    std::vector<const things::PluginDescription*> descriptions;
    const auto all = plugins.find_all();
    descriptions.reserve(all.size());
    for (const auto& plugin : all)
        descriptions.push_back(&plugin->description());
    fmt::print("{}", things::page(descriptions, THINGS_VERSION));
    return plugins.problems().empty() ? 0 : 1;
}
