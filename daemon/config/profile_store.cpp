// SPDX-License-Identifier: Apache-2.0
#include "config/profile_store.hpp"

#include "config/names.hpp"
#include "config/nearest.hpp"
#include "config/settings_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <unordered_set>

namespace things {

namespace {

std::vector<Profile::Point> read_profile_points(const Section& section, const std::string& name,
                                                Problems& problems) {
    std::vector<Profile::Point> points;
    std::unordered_set<std::string_view> names;
    const Node* list = section.node("points");
    if (!list)
        return points;
    if (!list->is_list()) {
        problems.error(list->place(), fmt::format("points: expected a list, got {}", list->kind_name()));
        return points;
    }
    for (const Node& item : list->children) {
        const Node* point_name = item.find("name");
        if (!item.is_map()) {
            problems.error(item.place(),
                           fmt::format("a point is a mapping such as {{name: power, ...}}, this is {}",
                                       item.kind_name()));
            continue;
        }
        if (!point_name || !point_name->is_scalar()) {
            problems.error(item.place(), "point has no \"name\"; add it: Name of the record at KPN Things.");
            continue;
        }
        if (!names.insert(point_name->text).second) {
            problems.error(point_name->place(), fmt::format("point {} is given twice in profile {}",
                                                            quote(point_name->text), quote(name)));
            continue;
        }
        points.push_back({point_name->text, entries_of(item), item.place()});
    }
    return points;
}

} // namespace

Profile read_profile(const std::string& name, const Node& body, Problems& problems) {
    Profile profile;
    profile.name = name;
    profile.place = body.place();
    if (!body.is_map()) {
        problems.error(body.place(),
                       fmt::format("profile {}: expected a mapping, got {}", quote(name), body.kind_name()));
        return profile;
    }
    Section section("profile", body.place(), entries_of(body), profile_keys(), problems);
    section.check_names();
    section.read("plugin", profile.plugin);
    if (const Node* device = section.node("device")) {
        if (device->is_map())
            profile.device = entries_of(*device);
        else
            problems.error(device->place(),
                           fmt::format("device: expected a mapping, got {}", device->kind_name()));
    }
    profile.points = read_profile_points(section, name, problems);
    return profile;
}

void ProfileStore::add(const Node& profiles) {
    if (profiles.is_null())
        return;
    if (!profiles.is_map()) {
        problems_.error(profiles.place(),
                        fmt::format("profiles: expected a mapping of names, got {}", profiles.kind_name()));
        return;
    }
    for (const auto& [name, body] : entries_of(profiles)) {
        std::string why;
        if (!is_plain_name(name->text, why))
            problems_.error(name->place(), fmt::format("profile name {}: {}", quote(name->text), why));
        const auto found = known_.find(name->text);
        if (found != known_.end()) {
            problems_.error(name->place(),
                            fmt::format("profile {} is given twice, first at {}", quote(name->text),
                                        found->second.profile.place.text()));
            continue;
        }
        const std::size_t before = problems_.errors();
        Known known{read_profile(name->text, *body, problems_)};
        known.is_broken = problems_.errors() != before;
        known_.emplace(name->text, std::move(known));
    }
}

const Profile* ProfileStore::find(const std::string& name, const Place& asked) {
    const auto found = known_.find(name);
    Known* known = found != known_.end() ? &found->second : load_file(name, asked);
    if (!known)
        return nullptr;
    known->is_used = true;
    return known->is_broken ? nullptr : &known->profile;
}

ProfileStore::Known* ProfileStore::load_file(const std::string& name, const Place& asked) {
    std::string why;
    std::error_code ignored;
    for (const std::filesystem::path& directory : options_.profile_directories) {
        const std::filesystem::path file = directory / (name + ".yaml");
        // The name becomes part of a path: no slash, no dots in front.
        if (!is_plain_name(name, why) || !std::filesystem::exists(file, ignored))
            continue;
        const std::size_t before = problems_.errors();
        Known known;
        if (const Node* body = documents_.load(file, asked))
            known.profile = read_profile(name, *body, problems_);
        // Told once, not again for each device that uses it.
        known.is_broken = problems_.errors() != before;
        return &known_.emplace(name, std::move(known)).first->second;
    }
    const std::vector<std::string> all = names();
    const std::string near = nearest(name, {all.begin(), all.end()});
    problems_.error(asked, fmt::format("there is no profile {}{}", quote(name),
                                       near.empty() ? "; `profiles list` shows what is there"
                                                    : fmt::format("; did you mean \"{}\"?", near)));
    return nullptr;
}

std::vector<std::string> ProfileStore::names() const {
    std::vector<std::string> names;
    for (const auto& [name, known] : known_)
        names.push_back(name);
    for (const std::filesystem::path& directory : options_.profile_directories) {
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(directory, error))
            if (entry.path().extension() == ".yaml")
                names.push_back(entry.path().stem().string());
    }
    return names;
}

std::vector<const Profile*> ProfileStore::unused() const {
    std::vector<const Profile*> list;
    for (const auto& [name, known] : known_)
        if (!known.is_used && !known.is_broken)
            list.push_back(&known.profile);
    return list;
}

} // namespace things
