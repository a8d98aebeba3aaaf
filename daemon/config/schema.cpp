// SPDX-License-Identifier: Apache-2.0
#include "config/schema.hpp"

#include "config/keys.hpp"
#include "config/names.hpp"
#include "config/scalar.hpp"
#include "config/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

// Shape of the schema: one definition a section. Sources know their plugin and get its keys through if/then;
// a device or point does not (its plugin is that of its source), so it may have the keys of every installed
// plugin, and the loader tells which. Text forms (durations, sizes, hexadecimal) are patterns.
namespace things {

namespace {

using Words = std::vector<std::string>;
using Forms = std::map<std::string_view, std::string>; // schema of keys whose form is not in the table

constexpr const char* duration_pattern = R"(^(0|[0-9]+(\\.[0-9]+)? ?(ms|s|m|h|d))$)";
constexpr const char* size_pattern = R"(^[0-9]+(\\.[0-9]+)? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)$)";
constexpr const char* integer_pattern = R"(^[-+]?(0[xX][0-9a-fA-F]+|[0-9]+)$)";
constexpr const char* any_scalar = R"("type":["boolean","number","string"])";

std::string object(const Words& members) {
    return fmt::format("{{{}}}", fmt::join(members, ","));
}

std::string strings(const std::vector<std::string_view>& texts) {
    Words quoted;
    for (const std::string_view text : texts)
        quoted.push_back(json_text(text));
    return fmt::format("[{}]", fmt::join(quoted, ","));
}

std::string range(double minimum, double maximum) {
    if (minimum == 0 && maximum == 0)
        return {};
    return fmt::format(R"(,"minimum":{},"maximum":{})", number_text(minimum), number_text(maximum));
}

std::string integer_form(double minimum, double maximum) {
    return fmt::format(R"("anyOf":[{{"type":"integer"{}}},{{"type":"string","pattern":"{}"}}])",
                       range(minimum, maximum), integer_pattern);
}

std::string table_form(const Key& key) {
    switch (key.type) {
    case KeyType::boolean:
        return R"("type":"boolean")";
    case KeyType::integer:
        return integer_form(key.minimum, key.maximum);
    case KeyType::number:
        return fmt::format(R"("type":"number"{})", range(key.minimum, key.maximum));
    case KeyType::duration:
        return fmt::format(R"("anyOf":[{{"const":0}},{{"type":"string","pattern":"{}"}}])", duration_pattern);
    case KeyType::size:
        return fmt::format(R"("anyOf":[{{"type":"integer"}},{{"type":"string","pattern":"{}"}}])",
                           size_pattern);
    case KeyType::choice:
        return fmt::format(R"("enum":{})", strings(split_words(key.choices)));
    case KeyType::value:
        return any_scalar;
    case KeyType::list:
        return R"("type":"array")";
    case KeyType::section:
        return R"("type":"object")";
    case KeyType::text:
    case KeyType::path:
        break;
    }
    return R"("type":["string","number"])";
}

std::string plugin_form(const KeyDescription& key) {
    if (key.secret)
        return R"("$ref":"#/definitions/secret")";
    switch (key.type) {
    case SettingType::boolean:
        return R"("type":"boolean")";
    case SettingType::integer:
        return integer_form(key.minimum, key.maximum);
    case SettingType::number:
        return fmt::format(R"("type":"number"{})", range(key.minimum, key.maximum));
    case SettingType::duration:
        return fmt::format(R"("anyOf":[{{"const":0}},{{"type":"string","pattern":"{}"}}])", duration_pattern);
    case SettingType::choice: { // `15` may be written as a number
        Words choices;
        for (const std::string& choice : key.choices) {
            choices.push_back(json_text(choice));
            if (parse_integer(choice))
                choices.push_back(choice);
        }
        return fmt::format(R"("enum":[{}])", fmt::join(choices, ","));
    }
    case SettingType::list:
        return fmt::format(R"("anyOf":[{{{0}}},{{"type":"array","items":{{{0}}}}}])", any_scalar);
    case SettingType::map:
        return fmt::format(R"("type":"object","additionalProperties":{{{}}})", any_scalar);
    case SettingType::text:
        break;
    }
    return R"("type":["string","number"])";
}

std::string nullable(const std::string& form, bool is_nullable) {
    return is_nullable ? fmt::format(R"("anyOf":[{{{}}},{{"type":"null"}}])", form) : form;
}

std::string described(const std::string& form, std::string_view help, std::string_view fallback) {
    std::string text(help);
    if (!fallback.empty())
        text += fmt::format(" Default: {}.", fallback);
    return fmt::format(R"({{{},"description":{}}})", form, json_text(text));
}

Words table_properties(Table table, const Forms& forms) {
    Words properties;
    for (const Key& key : table) {
        const auto own = forms.find(key.name);
        const std::string form = nullable(own == forms.end() ? table_form(key) : own->second, key.nullable);
        properties.push_back(
            fmt::format("{}:{}", json_text(key.name), described(form, key.help, key.fallback)));
    }
    return properties;
}

Words plugin_properties(const PluginDescription& plugin, Level level) {
    Words properties;
    for (const KeyDescription& key : plugin.keys) {
        const bool inherited = level == Level::point && key.level == Level::device && key.inherit;
        if (key.level != level && !inherited)
            continue;
        const std::string help = fmt::format(
            "{}{}{}", key.help, key.unit.empty() ? "" : " Unit: ", key.unit.empty() ? "" : key.unit + ".");
        // A point may take a profile's value away with null.
        properties.push_back(
            fmt::format("{}:{}", json_text(key.name),
                        described(nullable(plugin_form(key), level != Level::source), help, key.fallback)));
    }
    return properties;
}

// Keys of all plugins at one level, by name; where two plugins share a name either form is right.
Words all_plugin_properties(const std::vector<const PluginDescription*>& plugins, Level level) {
    std::map<std::string, Words> forms;
    for (const PluginDescription* plugin : plugins)
        for (const std::string& property : plugin_properties(*plugin, level)) {
            const std::size_t colon = property.find("\":") + 1;
            Words& known = forms[property.substr(0, colon)];
            if (std::find(known.begin(), known.end(), property.substr(colon + 1)) == known.end())
                known.push_back(property.substr(colon + 1));
        }
    Words properties;
    for (const auto& [name, list] : forms)
        properties.push_back(list.size() == 1
                                 ? fmt::format("{}:{}", name, list[0])
                                 : fmt::format(R"({}:{{"anyOf":[{}]}})", name, fmt::join(list, ",")));
    return properties;
}

std::string required_keys(Table table) {
    std::vector<std::string_view> names;
    for (const Key& key : table)
        if (key.required)
            names.push_back(key.name);
    return strings(names);
}

std::string closed_object(Table table, Words properties, const Words& more = {}) {
    properties.insert(properties.end(), more.begin(), more.end());
    return fmt::format(R"({{"type":"object","additionalProperties":false,"required":{},"properties":{}}})",
                       required_keys(table), object(properties));
}

std::string ref(std::string_view name) {
    return fmt::format(R"("$ref":"#/definitions/{}")", name);
}

// Every source names its plugin, and then has the keys of that plugin only.
std::string source_definition(const std::vector<const PluginDescription*>& plugins) {
    Words cases, names;
    for (const PluginDescription* plugin : plugins) {
        names.push_back(json_text(plugin->name));
        cases.push_back(fmt::format(R"({{"if":{{"properties":{{"plugin":{{"const":{}}}}}}},"then":{}}})",
                                    json_text(plugin->name),
                                    closed_object(source_keys(), table_properties(source_keys(), {}),
                                                  plugin_properties(*plugin, Level::source))));
    }
    const std::string plugin_name = fmt::format(R"("enum":[{}])", fmt::join(names, ","));
    return fmt::format(R"({{"type":"object","required":["plugin"],"properties":{{"plugin":{{{}}}}}{}}})",
                       plugin_name,
                       cases.empty() ? "" : fmt::format(R"(,"allOf":[{}])", fmt::join(cases, ",")));
}

std::string device_list() {
    return R"("anyOf":[{"type":"array","items":{"anyOf":[{"$ref":"#/definitions/device"},)"
           R"({"$ref":"#/definitions/fleet"}]}},{"$ref":"#/definitions/fleet"}])";
}

Words definitions(const std::vector<const PluginDescription*>& plugins) {
    const std::string text_list = R"("type":"array","items":{"type":["string","number"]})";
    const std::string scalar_list = fmt::format(R"("type":"array","items":{{{}}})", any_scalar);
    const std::string point_list = fmt::format(R"("type":"array","items":{{{}}})", ref("point"));
    const Forms point_forms{
        {"unit", R"("type":"string")"},
        {"report", ref("report")},
        {"writable", fmt::format(R"("anyOf":[{{"type":"boolean"}},{{{}}}])", ref("writable"))},
        {"labels", R"("type":"object","additionalProperties":{"type":["string","number","boolean"]})"}};
    const Forms device_forms{
        {"secret", ref("secret")}, {"points", point_list}, {"only", text_list}, {"without", text_list}};
    const Forms profile_forms{{"models", text_list},
                              {"documents", text_list},
                              {"quirks", text_list},
                              {"points", point_list},
                              {"device", ref("profile_device")}};
    const Forms writable_forms{{"allowed", scalar_list}, {"revert", ref("revert")}};
    const auto named = [](std::string_view name, const std::string& schema) {
        return fmt::format("{}:{}", json_text(name), schema);
    };
    return {
        named("source", source_definition(plugins)),
        named("device", closed_object(device_keys(), table_properties(device_keys(), device_forms),
                                      all_plugin_properties(plugins, Level::device))),
        named("fleet", closed_object(fleet_keys(), table_properties(fleet_keys(), {}))),
        named("point", closed_object(point_keys(), table_properties(point_keys(), point_forms),
                                     all_plugin_properties(plugins, Level::point))),
        named("report", closed_object(report_keys(), table_properties(report_keys(), {}))),
        named("writable", closed_object(writable_keys(), table_properties(writable_keys(), writable_forms))),
        named("revert", closed_object(revert_keys(), table_properties(revert_keys(), {}))),
        named("profile", closed_object(profile_keys(), table_properties(profile_keys(), profile_forms))),
        named("profile_device",
              closed_object(profile_device_keys(), table_properties(profile_device_keys(), {}),
                            all_plugin_properties(plugins, Level::device))),
        named("secret", fmt::format(R"({{"anyOf":[{{"type":"string"}},{}]}})",
                                    closed_object(secret_keys(), table_properties(secret_keys(), {})))),
    };
}

} // namespace

std::string config_schema(const std::vector<const PluginDescription*>& plugins) {
    const auto section = [](Table table, const Forms& forms) {
        const std::string schema = closed_object(table, table_properties(table, forms));
        return schema.substr(1, schema.size() - 2);
    };
    const auto by_name = [](std::string_view name) {
        return fmt::format(R"("type":"object","additionalProperties":{{{}}})", ref(name));
    };
    const Forms things_forms{{"retry", section(retry_keys(), {})}, {"proxy_password", ref("secret")}};
    const Forms web_forms{{"names", R"("type":"array","items":{"type":"string"})"},
                          {"tls", section(web_tls_keys(), {})},
                          {"password", ref("secret")}};
    const Forms forms{
        {"include", R"("anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}])"},
        {"things", section(things_keys(), things_forms)},
        {"batch", section(batch_keys(), {})},
        {"queue", section(queue_keys(), {})},
        {"time", section(time_keys(), {})},
        {"web", section(web_keys(), web_forms)},
        {"control", section(control_keys(), {})},
        {"log", section(log_keys(), {})},
        {"profiles", by_name("profile")},
        {"sources", by_name("source")},
        {"devices", device_list()},
    };
    return fmt::format(
               R"({{"$schema":"http://json-schema.org/draft-07/schema#","title":"KPN Things gateway",)"
               R"("type":"object","additionalProperties":false,"properties":{},"definitions":{}}})",
               object(table_properties(main_keys(), forms)), object(definitions(plugins))) +
           "\n";
}

} // namespace things
