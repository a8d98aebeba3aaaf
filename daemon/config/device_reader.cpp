// SPDX-License-Identifier: Apache-2.0
#include "config/device_reader.hpp"

#include "config/names.hpp"
#include "config/nearest.hpp"
#include "config/secrets.hpp"
#include "config/settings_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

namespace things {

namespace {

// A device's address replaces the profile's even where it uses another key of the same group.
Entries override_point(const Entries& under, const Entries& over, const PluginDescription* plugin) {
    if (!plugin)
        return merge(under, over);
    const auto group_of = [plugin](const std::string& name) -> std::string {
        for (const KeyDescription& key : plugin->keys)
            if (key.level == Level::point && key.name == name)
                return key.group;
        return {};
    };
    Entries kept;
    for (const Entry& entry : under) {
        const std::string group = group_of(entry.first->text);
        const auto replaces = [&](const Entry& other) {
            return !group.empty() && other.first->text != entry.first->text &&
                   group_of(other.first->text) == group;
        };
        if (std::none_of(over.begin(), over.end(), replaces))
            kept.push_back(entry);
    }
    return merge(kept, over);
}

/// `holding: 40101` is an address like any other, and nearly always a data sheet's number. Said once per
/// device, of what stands beside it: profiles were checked against the maker's documents.
void warn_of_entities(const DeviceConfig& device, Problems& problems) {
    struct Numbers {
        std::string_view key;
        std::int64_t first;
    };
    constexpr std::array tables{Numbers{"holding", 40001}, Numbers{"input", 30001},
                                Numbers{"discrete", 10001}};
    for (const PointConfig& point : device.points)
        for (const Setting& setting : point.settings)
            for (const Numbers& table : tables) {
                const auto* address = std::get_if<std::int64_t>(&setting.value);
                if (setting.key != table.key || !address || *address < table.first ||
                    *address > table.first + 9998 || setting.place.file != device.place.file)
                    continue;
                problems.warning(
                    setting.place,
                    fmt::format("{0}: {1} looks like the number of a data sheet, where it is register "
                                "{2}; if so, write entity: {1}",
                                table.key, *address, *address - table.first));
                return;
            }
}

} // namespace

void DeviceReader::read_identity(Section& section, DeviceConfig& device) {
    std::string why;
    section.read("name", device.name);
    if (!device.name.empty() && !is_plain_name(device.name, why))
        problems_.error(section.place("name"), fmt::format("name {}: {}", quote(device.name), why));
    check_once(names_, device.name, section.place("name"), "name");
    section.read("dvnuuid", device.dvnuuid);
    const std::string& uuid = device.dvnuuid;
    check_once(uuids_, uuid, section.place("dvnuuid"), "dvnuuid");
    if (uuid.empty())
        return;
    if (uuid.rfind("urn:", 0) == 0)
        problems_.error(section.place("dvnuuid"),
                        "dvnuuid: write the UUID alone, without urn:dev:DVNUUID: and colons");
    else if (!is_uuid(uuid))
        problems_.error(
            section.place("dvnuuid"),
            fmt::format("dvnuuid: {} is not of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx; copy it from "
                        "the Portal",
                        quote(uuid)));
    else if (!is_uuid_version_4(uuid))
        problems_.warning(section.place("dvnuuid"),
                          "dvnuuid is not a version 4 UUID; the Portal makes those, check it");
}

void DeviceReader::check_once(Firsts& firsts, const std::string& text, const Place& place, const char* what) {
    if (text.empty())
        return;
    std::string key = text;
    // UUIDs are the same in either case; names that differ in it alone are not worth the confusion.
    std::transform(key.begin(), key.end(), key.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const auto [first, is_new] = firsts.emplace(std::move(key), place);
    if (!is_new)
        problems_.error(place,
                        fmt::format("{} {} is already that of the device at {}; every device has its own",
                                    what, quote(text), first->second.text()));
}

void DeviceReader::read_device_secret(Section& section, DeviceConfig& device) {
    const Node* node = section.node("secret");
    if (!node)
        return;
    if (!options_.read_secrets) {
        device.secret = Secret(stand_in_secret);
        device.secret_origin = "text";
        return;
    }
    std::optional<FoundSecret> found = read_secret(*node, "secret", options_, problems_);
    if (!found)
        return;
    std::string why;
    if (!is_device_secret(found->text, why)) {
        // The commonest mistake: the name of a file where its content is meant.
        const bool is_path = found->origin == "text" && found->text.find('/') != std::string::npos;
        problems_.error(node->place(), fmt::format("secret: {}; {}", why,
                                                   is_path ? "if it is the name of a file, write {file: NAME}"
                                                           : "copy it again from the Portal"));
        return;
    }
    if (found->origin == "text" && is_readable_by_all(*node->file))
        problems_.warning(Place{*node->file, 1, 1}, open_secrets);
    device.secret = Secret(std::move(found->text));
    device.secret_origin = found->origin;
}

const Profile* DeviceReader::find_profile(Section& section, const PluginDescription* plugin,
                                          DeviceConfig& device) {
    section.read("profile", device.profile);
    if (device.profile.empty())
        return nullptr;
    const Place place = section.place("profile");
    const Profile* profile = profiles_.find(device.profile, place);
    if (!profile)
        return nullptr;
    if (plugin && profile->plugin != plugin->name) {
        problems_.error(place, fmt::format("profile {} is for plugin {}, but the source of this device is {}",
                                           quote(profile->name), profile->plugin, plugin->name));
        return nullptr;
    }
    check_profile_device(*profile, plugin);
    return profile;
}

void DeviceReader::check_profile_device(const Profile& profile, const PluginDescription* plugin) {
    if (profile.device.empty())
        return;
    const Place place = profile.device.front().first->place();
    Section section("the device settings of a profile", place, profile.device, profile_device_keys(),
                    problems_);
    section.check_names(other_keys(plugin, Level::device));
}

std::vector<DeviceReader::Listed> DeviceReader::own_points(const Section& section) {
    std::vector<Listed> own;
    std::unordered_map<std::string, int> lines;
    const Node* list = section.node("points");
    if (!list)
        return own;
    if (!list->is_list()) {
        problems_.error(
            list->place(),
            fmt::format("points: expected a list such as [{{name: power, ...}}], got {}", list->kind_name()));
        return own;
    }
    for (const Node& item : list->children) {
        const Node* name = item.find("name");
        if (!item.is_map()) {
            problems_.error(item.place(),
                            fmt::format("a point is a mapping such as {{name: power, ...}}, this is {}",
                                        item.kind_name()));
            continue;
        }
        const std::string text = name && name->is_scalar() ? name->text : "";
        if (text.empty() && !(name && name->is_scalar()))
            problems_.error(item.place(), "point has no \"name\"; add it: Name of the record at KPN Things.");
        const auto [first, is_new] = lines.emplace(text, item.line);
        if (!text.empty() && !is_new)
            problems_.error(name->place(),
                            fmt::format("point {} is given twice in this device, first in line {}; names "
                                        "must differ",
                                        quote(text), first->second));
        else
            own.push_back({text, entries_of(item), item.place()});
    }
    return own;
}

DeviceReader::Names DeviceReader::named_points(const Section& section, const char* key,
                                               const Profile* profile) {
    Names names;
    const Node* list = section.node(key);
    if (!list)
        return names;
    if (!list->is_list()) {
        problems_.error(list->place(),
                        fmt::format("{}: expected a list of point names, got {}", key, list->kind_name()));
        return names;
    }
    std::vector<std::string> known;
    for (std::size_t i = 0; profile && i < profile->points.size(); ++i)
        known.push_back(profile->points[i].name);
    const std::unordered_set<std::string_view> all(known.begin(), known.end());
    for (const Node& item : list->children) {
        if (profile && all.count(item.text) == 0)
            problems_.error(item.place(), fmt::format("{}: the profile has no point {}{}", key,
                                                      quote(item.text), hint(item.text, known)));
        names.insert(item.text);
    }
    if (!section.node("profile") && !list->children.empty())
        problems_.error(list->place(), fmt::format("{}: there is no profile to choose points from", key));
    return names;
}

std::vector<DeviceReader::Listed> DeviceReader::list_points(const Section& section, const Profile* profile,
                                                            const PluginDescription* plugin) {
    std::vector<Listed> own = own_points(section);
    const Names only = named_points(section, "only", profile);
    const Names without = named_points(section, "without", profile);
    const auto is_kept = [&only, &without](const std::string& name) {
        return (only.empty() || only.count(name) != 0) && without.count(name) == 0;
    };
    std::unordered_map<std::string, const Listed*> over;
    for (const Listed& listed : own)
        over.emplace(listed.name, &listed);
    std::vector<Listed> all;
    for (std::size_t i = 0; profile && i < profile->points.size(); ++i) {
        const Profile::Point& point = profile->points[i];
        const auto found = over.find(point.name);
        if (found == over.end()) {
            if (is_kept(point.name))
                all.push_back({point.name, point.entries, point.place});
            continue;
        }
        const Listed& mine = *found->second;
        all.push_back({point.name, override_point(point.entries, mine.entries, plugin), mine.place});
        over.erase(found);
    }
    // What is left of the own points stands in no profile: additions.
    for (Listed& listed : own)
        if (const auto found = over.find(listed.name);
            listed.name.empty() || (found != over.end() && found->second == &listed))
            all.push_back(std::move(listed));
    return all;
}

std::optional<DeviceConfig> DeviceReader::read(const Node& node) {
    if (!node.is_map()) {
        problems_.error(
            node.place(),
            fmt::format("a device is a mapping such as {{name: boiler, ...}}, this is {}", node.kind_name()));
        return std::nullopt;
    }
    DeviceConfig device;
    device.place = node.place();
    const Entries own = entries_of(node);
    Section section("device", device.place, own, device_keys(), problems_);
    read_identity(section, device);
    read_device_secret(section, device);
    section.read("source", device.source);
    const KnownSource* source =
        device.source.empty() ? nullptr
                              : find_source(sources_, device.source, section.place("source"), problems_);
    const PluginDescription* plugin = source ? source->plugin : nullptr;
    section.check_names(other_keys(plugin, Level::device, source ? nullptr : &options_));
    const Profile* profile = find_profile(section, plugin, device);
    // The device's own keys win over its profile's.
    const Entries merged = profile ? merge(profile->device, own) : own;
    if (profile)
        Section("device", device.place, profile->device, profile_device_keys(), problems_)
            .read("interval", device.interval);
    section.read("interval", device.interval);
    if (const std::optional<std::size_t> mode = section.choice("commands"))
        device.commands = static_cast<CommandMode>(*mode);
    if (plugin)
        device.settings = read_settings(*plugin, Level::device, merged, device_keys(), "device", device.place,
                                        options_, problems_);
    const PointDefaults defaults{device.source, plugin, device.interval};
    for (const Listed& point : list_points(section, profile, plugin))
        device.points.push_back(points_.read(point.entries, point.place, defaults));
    warn_of_entities(device, problems_);
    if (device.points.empty() && !section.node("points") && (!section.has("profile") || profile))
        problems_.error(device.place, "device has no points; add `points`, or a `profile` that has some");
    return device;
}

void DeviceReader::check_profile(const Profile& profile) {
    const PluginDescription* plugin = options_.find_plugin ? options_.find_plugin(profile.plugin) : nullptr;
    if (!plugin)
        return;
    check_profile_device(profile, plugin);
    const PointDefaults defaults{"-", plugin, Milliseconds(60000)};
    for (const Profile::Point& point : profile.points)
        points_.read(point.entries, point.place, defaults);
}

} // namespace things
