// SPDX-License-Identifier: Apache-2.0
#include "support/plugin_keys.hpp"

#include <algorithm>

namespace things {

namespace {

KeyDescription key(Level level, std::string name, SettingType type, double minimum = 0, double maximum = 0,
                   std::vector<std::string> choices = {}) {
    KeyDescription made;
    made.level = level;
    made.name = std::move(name);
    made.type = type;
    made.minimum = minimum;
    made.maximum = maximum;
    made.choices = std::move(choices);
    made.help = "Help of " + made.name + ".";
    return made;
}

KeyDescription inherited(KeyDescription made) {
    made.inherit = true;
    return made;
}

KeyDescription with_default(KeyDescription made, std::string fallback) {
    made.fallback = std::move(fallback);
    return made;
}

KeyDescription grouped(KeyDescription made) {
    made.group = "address";
    return made;
}

KeyDescription required(KeyDescription made) {
    made.required = true;
    return made;
}

PluginDescription modbus() {
    using enum SettingType;
    PluginDescription plugin{"modbus", "1", "Modbus", {}, true, false, true, true, true, true};
    plugin.keys = {
        key(Level::source, "port", text),
        key(Level::source, "baud", integer, 50, 4000000),
        key(Level::source, "data_bits", integer, 7, 8),
        key(Level::source, "parity", choice, 0, 0, {"none", "even", "odd"}),
        key(Level::source, "stop_bits", integer, 1, 2),
        key(Level::source, "rs485", boolean),
        key(Level::source, "host", text),
        key(Level::source, "tcp_port", integer, 1, 65535),
        key(Level::source, "framing", choice, 0, 0, {"tcp", "rtu"}),
        key(Level::source, "connect_timeout", duration, 10, 120000),
        key(Level::source, "connect_delay", duration, 0, 60000),
        key(Level::source, "timeout", duration, 5, 120000),
        key(Level::source, "retries", integer, 0, 20),
        key(Level::source, "pause", duration, 0, 10000),
        with_default(inherited(key(Level::device, "unit_id", integer, 0, 255)), "1"),
        key(Level::device, "connect_delay", duration, 0, 60000),
        inherited(key(Level::device, "timeout", duration, 5, 120000)),
        inherited(key(Level::device, "retries", integer, 0, 20)),
        inherited(key(Level::device, "pause", duration, 0, 10000)),
        inherited(key(Level::device, "backoff_max", duration, 0, 86400000)),
        inherited(key(Level::device, "gap", integer, 0, 2000)),
        inherited(key(Level::device, "max_registers", integer, 1, 125)),
        inherited(key(Level::device, "max_coils", integer, 1, 2000)),
        inherited(key(Level::device, "even_addresses", boolean)),
        inherited(key(Level::device, "write_function", choice, 0, 0,
                      {"auto", "single", "multiple", "5", "6", "15", "16"})),
        grouped(key(Level::point, "coil", integer, 0, 65535)),
        grouped(key(Level::point, "discrete", integer, 0, 65535)),
        grouped(key(Level::point, "holding", integer, 0, 65535)),
        grouped(key(Level::point, "input", integer, 0, 65535)),
        grouped(key(Level::point, "entity", text)),
        grouped(key(Level::point, "sunspec", text)),
        key(Level::point, "type", choice, 0, 0,
            {"bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bcd16",
             "bcd32", "string"}),
        inherited(key(Level::device, "order", choice, 0, 0, {"ABCD", "CDAB", "BADC", "DCBA"})),
        key(Level::point, "bit", integer, 0, 63),
        key(Level::point, "mask", integer),
        key(Level::point, "scale", number),
        key(Level::point, "scale_from", integer, 0, 65535),
        key(Level::point, "offset", number),
        key(Level::point, "invalid", list),
        key(Level::point, "length", integer, 1, 125),
    };
    return plugin;
}

PluginDescription simulated() {
    using enum SettingType;
    PluginDescription plugin{"simulated", "1", "Made-up values", {}, true, false, true, false, false, true};
    plugin.keys = {key(Level::point, "wave", choice, 0, 0, {"sine", "square"}),
                   key(Level::point, "period", duration)};
    return plugin;
}

PluginDescription p1() {
    using enum SettingType;
    PluginDescription plugin{"p1", "1", "Smart meters", {}, false, true, false, false, false, true};
    plugin.keys = {key(Level::source, "port", text),
                   key(Level::source, "host", text),
                   grouped(key(Level::point, "obis", text)),
                   grouped(key(Level::point, "value", text)),
                   grouped(key(Level::point, "medium", choice, 0, 0, {"gas", "water", "heat", "cold"})),
                   key(Level::point, "channel", integer, 1, 4)};
    return plugin;
}

PluginDescription strict() {
    using enum SettingType;
    PluginDescription plugin{"strict", "1", "Needs its keys", {}, true, false, false, false, false, true};
    plugin.keys = {required(key(Level::source, "port", text)), required(key(Level::point, "cell", text))};
    return plugin;
}

PluginDescription secretive() {
    using enum SettingType;
    PluginDescription plugin{"secretive", "1", "Needs a key", {}, true, false, false, false, false, false};
    plugin.keys = {key(Level::source, "key", text), key(Level::source, "headers", map)};
    plugin.keys[0].secret = true;
    return plugin;
}

const std::vector<PluginDescription>& plugins() {
    static const std::vector<PluginDescription> all{modbus(), simulated(), p1(), strict(), secretive()};
    return all;
}

} // namespace

const PluginDescription* find_test_plugin(const std::string& name) {
    const auto same = [&name](const PluginDescription& plugin) {
        return plugin.name == name;
    };
    const auto found = std::find_if(plugins().begin(), plugins().end(), same);
    return found == plugins().end() ? nullptr : &*found;
}

std::vector<std::string> test_plugin_names() {
    std::vector<std::string> names;
    for (const PluginDescription& plugin : plugins())
        names.push_back(plugin.name);
    return names;
}

} // namespace things
