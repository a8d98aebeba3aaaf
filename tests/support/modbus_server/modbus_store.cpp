// SPDX-License-Identifier: Apache-2.0
#include "modbus_store.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace things {

namespace {

constexpr unsigned table_size = 65536;

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(separators), text.size());
        if (end > 0)
            parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

std::optional<unsigned> number(std::string_view text) {
    int base = 10;
    if (text.starts_with("0x")) {
        text.remove_prefix(2);
        base = 16;
    }
    long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size() || value < -32768 || value > 65535)
        return std::nullopt;
    return static_cast<unsigned>(value) & 0xFFFF;
}

std::optional<ModbusStore::Table> table_named(std::string_view name) {
    using Table = ModbusStore::Table;
    if (name == "coil")
        return Table::coil;
    if (name == "discrete")
        return Table::discrete;
    if (name == "holding")
        return Table::holding;
    return name == "input" ? std::optional(Table::input) : std::nullopt;
}

ModbusStore::Table table_of(std::uint8_t function) {
    using Table = ModbusStore::Table;
    switch (function) {
    case 1:
    case 5:
    case 15:
        return Table::coil;
    case 2:
        return Table::discrete;
    case 4:
        return Table::input;
    default:
        return Table::holding;
    }
}

std::optional<std::chrono::milliseconds> duration(std::string_view text) {
    unsigned factor = 1;
    if (text.ends_with("ms")) {
        text.remove_suffix(2);
    } else if (text.ends_with("s")) {
        text.remove_suffix(1);
        factor = 1000;
    }
    const auto value = number(text);
    return value ? std::optional(std::chrono::milliseconds(*value * factor)) : std::nullopt;
}

} // namespace

ModbusStore::ModbusStore() = default;

ModbusStore::Unit& ModbusStore::unit(std::uint8_t id) {
    Unit& it = all_[id];
    if (!it.mapping)
        it.mapping.reset(modbus_mapping_new(table_size, table_size, table_size, table_size));
    return it;
}

modbus_mapping_t* ModbusStore::mapping(std::uint8_t id) {
    return unit(id).mapping.get();
}

std::string ModbusStore::store(std::uint8_t id, std::string_view table, unsigned address,
                               const std::vector<unsigned>& values) {
    const auto which = table_named(table);
    if (!which)
        return "no table \"" + std::string(table) + "\": coil, discrete, holding, input";
    if (address + values.size() > table_size)
        return "past address 65535";
    modbus_mapping_t& map = *unit(id).mapping;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto word = static_cast<std::uint16_t>(values[i]);
        const auto bit = static_cast<std::uint8_t>(values[i] != 0);
        switch (*which) {
        case Table::coil:
            map.tab_bits[address + i] = bit;
            break;
        case Table::discrete:
            map.tab_input_bits[address + i] = bit;
            break;
        case Table::holding:
            map.tab_registers[address + i] = word;
            break;
        case Table::input:
            map.tab_input_registers[address + i] = word;
            break;
        }
    }
    return "";
}

std::string ModbusStore::set(std::string_view text) {
    std::vector<std::string_view> parts = split(text, ":=,");
    std::uint8_t id = 1;
    if (!parts.empty() && number(parts[0])) {
        id = static_cast<std::uint8_t>(*number(parts[0]));
        parts.erase(parts.begin());
    }
    if (parts.size() < 3 || !number(parts[1]))
        return "expected [UNIT:]TABLE:ADDRESS=VALUE[,VALUE..]";
    std::vector<unsigned> values;
    for (std::size_t i = 2; i < parts.size(); ++i) {
        if (!number(parts[i]))
            return "not a register value: " + std::string(parts[i]);
        values.push_back(*number(parts[i]));
    }
    return store(id, parts[0], *number(parts[1]), values);
}

std::string ModbusStore::command(std::string_view line) {
    std::vector<std::string_view> words = split(line, " \t\r\n");
    if (words.empty())
        return "";
    const std::string_view verb = words[0];
    words.erase(words.begin());
    std::uint8_t id = 1;
    if (words.size() >= 2 && words[0] == "unit" && number(words[1])) {
        id = static_cast<std::uint8_t>(*number(words[1]));
        words.erase(words.begin(), words.begin() + 2);
    }
    Unit& it = unit(id);
    if (verb == "set" && words.size() >= 3 && number(words[1])) {
        std::vector<unsigned> values;
        for (std::size_t i = 2; i < words.size(); ++i) {
            if (!number(words[i]))
                return "not a register value: " + std::string(words[i]);
            values.push_back(*number(words[i]));
        }
        return store(id, words[0], *number(words[1]), values);
    }
    if (verb == "exception" && words.size() == 3 && table_named(words[0]) && number(words[1]) &&
        number(words[2])) {
        it.exceptions[{*table_named(words[0]), *number(words[1])}] = static_cast<int>(*number(words[2]));
        return "";
    }
    if (verb == "silent" && words.empty()) {
        it.silent = true;
        return "";
    }
    if (verb == "delay" && words.size() == 1 && duration(words[0])) {
        it.delay = *duration(words[0]);
        return "";
    }
    if (verb == "ok" && words.empty()) {
        it.silent = false;
        it.delay = std::chrono::milliseconds(0);
        it.exceptions.clear();
        return "";
    }
    return "not understood: " + std::string(line);
}

ModbusStore::Answer ModbusStore::answer(std::uint8_t id, std::uint8_t function, unsigned address,
                                        unsigned count) const {
    Answer result;
    if (!units_.empty() && std::find(units_.begin(), units_.end(), id) == units_.end())
        result.silent = true;
    const auto found = all_.find(id);
    if (found == all_.end())
        return result;
    const Unit& it = found->second;
    result.silent = result.silent || it.silent;
    result.delay = it.delay;
    const auto bad = it.exceptions.lower_bound({table_of(function), address});
    if (bad != it.exceptions.end() && bad->first.first == table_of(function) &&
        bad->first.second < address + count)
        result.exception = bad->second;
    return result;
}

} // namespace things
