// SPDX-License-Identifier: Apache-2.0
#include "config/settings_reader.hpp"

#include "config/names.hpp"
#include "config/nearest.hpp"
#include "config/scalar.hpp"
#include "config/secrets.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

const KeyDescription* find_key(const PluginDescription& plugin, Level level, const std::string& name) {
    const KeyDescription* inherited = nullptr;
    for (const KeyDescription& key : plugin.keys) {
        if (key.name != name)
            continue;
        if (key.level == level)
            return &key;
        if (level == Level::point && key.level == Level::device && key.inherit)
            inherited = &key;
    }
    return inherited;
}

std::string level_word(Level level) {
    switch (level) {
    case Level::source:
        return "in the source";
    case Level::device:
        return "in the device";
    case Level::point:
        break;
    }
    return "in a point";
}

KeyType key_type(SettingType type) {
    switch (type) {
    case SettingType::boolean:
        return KeyType::boolean;
    case SettingType::integer:
        return KeyType::integer;
    case SettingType::number:
        return KeyType::number;
    case SettingType::duration:
        return KeyType::duration;
    case SettingType::choice:
        return KeyType::choice;
    case SettingType::list:
        return KeyType::list;
    case SettingType::map:
        return KeyType::section;
    case SettingType::text:
        break;
    }
    return KeyType::text;
}

std::string joined(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

// One value of one key.
class SettingReader {
public:
    /// `port_key` is what the plugin calls the port of a host.
    SettingReader(const KeyDescription& key, std::string_view port_key, const Node& node,
                  const LoadOptions& options, Problems& problems)
        : key_(key), port_key_(port_key), node_(node), options_(options), problems_(problems) {}

    bool read(Setting& setting) {
        setting.key = key_.name;
        setting.place = node_.place();
        setting.secret = key_.secret;
        // Before the types: a secret may be a mapping that says where it is.
        if (key_.secret)
            return read_hidden(setting);
        if (key_.type == SettingType::list)
            return read_list(setting);
        if (key_.type == SettingType::map)
            return read_map(setting);
        if (!node_.is_scalar())
            return refuse(node_.is_null() ? "nothing" : node_.kind_name());
        return read_scalar(setting.value);
    }

private:
    bool refuse(const std::string& got, const std::string& more = {}) {
        const KeyType type = key_type(key_.type);
        problems_.error(node_.place(), fmt::format("{}: expected {}, got {}{}", key_.name,
                                                   expectation(type, joined(key_.choices)), got, more));
        return false;
    }
    bool read_hidden(Setting& setting) {
        const std::optional<FoundSecret> found = read_secret(node_, key_.name, options_, problems_);
        if (!found)
            return false;
        setting.value = found->text;
        setting.items = {found->origin}; // where it came from, which is what may be printed of it
        if (found->origin == "text" && is_readable_by_all(*node_.file))
            problems_.warning({*node_.file, 1, 1}, open_secrets);
        return true;
    }
    bool read_list(Setting& setting) {
        if (node_.is_scalar()) { // one value is a list of one
            setting.items.push_back(guess_scalar(node_));
            return true;
        }
        if (!node_.is_list())
            return refuse(node_.is_null() ? "nothing" : node_.kind_name());
        for (const Node& item : node_.children)
            if (!add_item(setting, item))
                return false;
        return true;
    }
    bool read_map(Setting& setting) {
        if (!node_.is_map())
            return refuse(node_.is_null() ? "nothing" : node_.kind_name());
        for (const Node& item : node_.children)
            if (!add_item(setting, item))
                return false;
        return true;
    }
    bool add_item(Setting& setting, const Node& item) {
        if (item.is_scalar()) {
            setting.items.push_back(guess_scalar(item));
            return true;
        }
        problems_.error(item.place(),
                        fmt::format("{}: expected plain values, got {}", key_.name, item.kind_name()));
        return false;
    }
    bool read_scalar(Scalar& value);
    template <typename Number>
    bool accept(const std::optional<Number>& number, Scalar& value) {
        const KeyType type = key_type(key_.type);
        if (!number)
            return refuse(quote(node_.text), value_hint(type, node_.text));
        const std::string range = range_text(static_cast<double>(*number), key_.minimum, key_.maximum, type);
        if (!range.empty()) {
            problems_.error(node_.place(), fmt::format("{}: {}, got {}", key_.name, range, node_.text));
            return false;
        }
        value = *number;
        return true;
    }

    const KeyDescription& key_;
    std::string_view port_key_;
    const Node& node_;
    const LoadOptions& options_;
    Problems& problems_;
};

bool SettingReader::read_scalar(Scalar& value) {
    const std::string& text = node_.text;
    const bool is_plain = !node_.quoted;
    switch (key_.type) {
    case SettingType::boolean:
        return accept(is_plain ? parse_boolean(text) : std::nullopt, value);
    case SettingType::integer:
        return accept(parse_whole_number(text), value);
    case SettingType::number:
        return accept(parse_number(text), value);
    case SettingType::duration:
        return accept(parse_duration(text), value);
    case SettingType::choice: {
        const bool is_one = std::find(key_.choices.begin(), key_.choices.end(), text) != key_.choices.end();
        if (!is_one) {
            const std::string near = nearest(text, {key_.choices.begin(), key_.choices.end()});
            return refuse(quote(text), near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
        }
        break;
    }
    default:
        break;
    }
    std::string why;
    // By its name, so that it is the same for every plugin.
    if (key_.name == "host" && key_.type == SettingType::text && !text.empty() &&
        !is_host(text, port_key_, why)) {
        problems_.error(node_.place(), fmt::format("host: {}: {}", quote(text), why));
        return false;
    }
    value = text;
    return true;
}

// Keys of one group exclude each other, and one of them must be there.
void check_groups(const PluginDescription& plugin, Level level, const std::vector<Setting>& settings,
                  const std::string& what, const Place& place, Problems& problems) {
    std::vector<std::string> done;
    for (const KeyDescription& key : plugin.keys) {
        if (key.level != level || key.group.empty() ||
            std::find(done.begin(), done.end(), key.group) != done.end())
            continue;
        done.push_back(key.group);
        std::vector<std::string_view> members;
        const Setting* first = nullptr;
        const Setting* second = nullptr;
        for (const KeyDescription& member : plugin.keys) {
            if (member.level != level || member.group != key.group)
                continue;
            members.push_back(member.name);
            const auto same = [&member](const Setting& setting) {
                return setting.key == member.name;
            };
            const auto found = std::find_if(settings.begin(), settings.end(), same);
            if (found != settings.end())
                (first ? second : first) = &*found;
        }
        // One message for the group: a list of keys that are each optional tells nobody what to do.
        if (!first)
            problems.error(place, fmt::format("{} needs one of {}", what, fmt::join(members, ", ")));
        else if (second)
            problems.error(second->place, fmt::format("{} and {} exclude each other in {}; keep one",
                                                      first->key, second->key, what));
    }
}

} // namespace

std::vector<const KeyDescription*> keys_at(const PluginDescription& plugin, Level level) {
    std::vector<const KeyDescription*> keys;
    for (const KeyDescription& key : plugin.keys)
        if (find_key(plugin, level, key.name) == &key)
            keys.push_back(&key);
    return keys;
}

OtherKeys other_keys(const PluginDescription* plugin, Level level, const LoadOptions* installed) {
    OtherKeys others;
    if (!plugin) {
        others.is_known = [installed, level](const std::string& name) {
            const auto has_it = [installed, level, &name](const std::string& other_name) {
                const PluginDescription* other = installed->find_plugin(other_name);
                return other && find_key(*other, level, name) != nullptr;
            };
            // Nobody knows the keys, so none is wrong.
            if (!installed || !installed->find_plugin || installed->plugin_names.empty())
                return true;
            return std::any_of(installed->plugin_names.begin(), installed->plugin_names.end(), has_it);
        };
        return others;
    }
    others.is_known = [plugin, level](const std::string& name) {
        return find_key(*plugin, level, name) != nullptr;
    };
    others.names = [plugin, level] { // only when something is wrong: this is asked for every point
        std::vector<std::string_view> names;
        for (const KeyDescription* key : keys_at(*plugin, level))
            names.push_back(key->name);
        return names;
    };
    others.where_it_goes = [plugin](const std::string& name) {
        const auto same = [&name](const KeyDescription& key) {
            return key.name == name;
        };
        const auto found = std::find_if(plugin->keys.begin(), plugin->keys.end(), same);
        return found == plugin->keys.end() ? std::string() : level_word(found->level);
    };
    return others;
}

std::vector<Setting> read_settings(const PluginDescription& plugin, Level level, const Entries& entries,
                                   Table table, const std::string& what, const Place& place,
                                   const LoadOptions& options, Problems& problems) {
    std::vector<Setting> settings;
    bool all_read = true;
    const std::string_view port_key = find_key(plugin, Level::source, "tcp_port") ? "tcp_port" : "port";
    for (const auto& [name, value] : entries) {
        const auto is_ours = [&name = name->text](const Key& key) {
            return key.name == name;
        };
        // Keys of the gateway itself, such as name and interval, are not the plugin's.
        if (std::any_of(table.begin(), table.end(), is_ours))
            continue;
        const KeyDescription* key = find_key(plugin, level, name->text);
        if (!key) { // reported by the section; what it was meant to be is not missing as well
            all_read = false;
            continue;
        }
        if (key->secret && !options.look_for_secrets) {
            all_read = false;
            continue;
        }
        if (value->is_null()) // `key: null` on top of a profile takes the profile's value away
            continue;
        Setting setting;
        if (SettingReader(*key, port_key, *value, options, problems).read(setting))
            settings.push_back(std::move(setting));
        else
            all_read = false;
    }
    for (const KeyDescription& key : plugin.keys) {
        const auto same = [&key](const Entry& entry) {
            return entry.first->text == key.name;
        };
        if (key.level == level && key.required && std::none_of(entries.begin(), entries.end(), same))
            problems.error(place, fmt::format("{} has no \"{}\"; plugin {} needs it: {}", what, key.name,
                                              plugin.name, key.help));
    }
    if (all_read)
        check_groups(plugin, level, settings, what, place, problems);
    return settings;
}

} // namespace things
