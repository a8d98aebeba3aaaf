// SPDX-License-Identifier: Apache-2.0
#include "polling/plugin_table.hpp"

#include "polling/plugin_config.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <set>
#include <stdexcept>
#include <utility>

namespace things {

namespace {

constexpr std::uint32_t most_keys = 1000;
constexpr std::size_t longest_name = 100;
constexpr std::size_t longest_text = 4000;
/// What the first minor version had up to the calls that every plugin must offer; the rest may be missing.
constexpr std::uint32_t shortest_table = offsetof(things_plugin, poll);
constexpr std::uint32_t shortest_key = offsetof(things_key, unit);
/// A size beyond this is no size: the plugin was built against something else.
constexpr std::uint32_t longest_struct = 4096;

[[noreturn]] void refuse(const std::string& reason) {
    throw std::runtime_error(reason);
}

std::string text_of(const char* text, std::size_t most) {
    return text == nullptr ? std::string() : std::string(text, strnlen(text, most));
}

bool is_name(const std::string& name) {
    if (name.empty() || name.size() >= longest_name)
        return false;
    for (const char c : name)
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-')
            return false;
    return true;
}

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        if (end > at)
            words.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

things_key copy_key(const things_key* key) {
    if (key == nullptr)
        refuse("its list of keys has a null in it");
    if (key->size < shortest_key || key->size > longest_struct)
        refuse(fmt::format("a key of it is {} bytes long, which no version of the contract has", key->size));
    things_key copy{};
    std::memcpy(&copy, key, std::min<std::size_t>(key->size, sizeof copy));
    return copy;
}

KeyDescription describe(const things_key& key) {
    KeyDescription description;
    description.name = text_of(key.name, longest_name);
    if (!is_name(description.name))
        refuse(fmt::format("a key of it has no proper name (\"{}\")", description.name));
    if (key.level > THINGS_POINT)
        refuse(fmt::format("its key {} is of no known level ({})", description.name, key.level));
    if (key.type < THINGS_TYPE_BOOL || key.type > THINGS_TYPE_MAP)
        refuse(fmt::format("its key {} is of no known type ({})", description.name, key.type));
    description.level = static_cast<Level>(key.level);
    description.type = static_cast<SettingType>(key.type);
    description.required = (key.flags & THINGS_REQUIRED) != 0;
    description.secret = (key.flags & THINGS_SECRET) != 0;
    description.inherit = (key.flags & THINGS_INHERIT) != 0;
    description.unit = text_of(key.unit, longest_name);
    description.fallback = text_of(key.fallback, longest_text);
    description.minimum = key.minimum;
    description.maximum = key.maximum;
    description.choices = words_of(text_of(key.choices, longest_text));
    description.group = text_of(key.group, longest_name);
    description.help = text_of(key.help, longest_text);
    // No value could ever be right.
    if (description.type == SettingType::choice && description.choices.empty())
        refuse(fmt::format("its key {} is a choice without choices", description.name));
    return description;
}

} // namespace

things_plugin copy_table(const things_plugin* table) {
    if (table == nullptr)
        refuse("things_plugin_entry returned no table");
    if (table->abi_major != THINGS_ABI_MAJOR)
        refuse(fmt::format("it was built for version {} of the plugin contract, this gateway speaks {}",
                           table->abi_major, THINGS_ABI_MAJOR));
    if (table->size < shortest_table || table->size > longest_struct)
        refuse(fmt::format("its table is {} bytes long, at least {} were expected", table->size,
                           shortest_table));
    things_plugin copy{};
    std::memcpy(&copy, table, std::min<std::size_t>(table->size, sizeof copy));
    copy.size = sizeof copy;
    return copy;
}

void clean(PluginDescription& description) {
    const auto clean_one = [](std::string& text, std::size_t most) {
        text = clean_text(text.c_str(), most);
    };
    for (std::string* text : {&description.name, &description.version})
        clean_one(*text, longest_name);
    clean_one(description.summary, longest_text);
    for (KeyDescription& key : description.keys) {
        for (std::string* text : {&key.name, &key.unit, &key.group})
            clean_one(*text, longest_name);
        for (std::string* text : {&key.fallback, &key.help})
            clean_one(*text, longest_text);
        for (std::string& choice : key.choices)
            clean_one(choice, longest_text);
    }
}

PluginDescription describe(const things_plugin& table) {
    PluginDescription description;
    description.name = text_of(table.name, longest_name);
    if (!is_name(description.name))
        refuse(
            fmt::format("it has no proper name (\"{}\"): small letters, digits, - and _", description.name));
    if (table.create == nullptr || table.destroy == nullptr)
        refuse("it cannot create or destroy a source");
    if (table.key_count > most_keys || (table.key_count > 0 && table.keys == nullptr))
        refuse(fmt::format("its list of {} keys cannot be right", table.key_count));
    description.version = text_of(table.version, longest_name);
    description.summary = text_of(table.summary, longest_text);
    description.polls = table.poll != nullptr;
    description.listens = table.listen != nullptr;
    description.writes = table.write != nullptr;
    description.discovers = table.discover != nullptr;
    description.plans = table.plan != nullptr;
    description.runs_programs = (table.flags & THINGS_RUNS_PROGRAMS) != 0;
    if (!description.polls && !description.listens)
        refuse("it can neither poll nor listen, so nothing could come from it");
    std::set<std::pair<Level, std::string>> seen;
    for (std::uint32_t i = 0; i < table.key_count; ++i) {
        KeyDescription key = describe(copy_key(table.keys[i]));
        if (!seen.emplace(key.level, key.name).second)
            refuse(fmt::format("it describes its key {} twice", key.name));
        description.keys.push_back(std::move(key));
    }
    clean(description);
    return description;
}

} // namespace things
