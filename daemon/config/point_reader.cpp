// SPDX-License-Identifier: Apache-2.0
#include "config/point_reader.hpp"

#include "config/names.hpp"
#include "config/nearest.hpp"
#include "config/scalar.hpp"
#include "config/settings_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace things {

namespace {

void check_unit(const Section& section, const PointConfig& point, Problems& problems) {
    if (point.unit.empty())
        return;
    if (!is_senml_unit(point.unit)) {
        const std::string near = nearest_unit(point.unit);
        problems.error(section.place("unit"),
                       fmt::format("unit {} is not in the SenML registry; {}", quote(point.unit),
                                   near.empty() ? "leave it out, or scale to a unit that is"
                                                : fmt::format("did you mean \"{}\"?", near)));
        return;
    }
    const std::string remark = unit_remark(point.unit);
    if (!remark.empty())
        problems.warning(section.place("unit"), remark);
}

void check_report(const Section& section, const PointConfig& point, Problems& problems) {
    // With a window shorter than the interval every value is its own mean.
    if (point.report.aggregate != Aggregate::none && point.report.window.count() > 0 &&
        point.report.window < point.interval)
        problems.error(
            section.place("report"),
            fmt::format("report: a window of {} holds less than one reading every {}; make it longer, or the "
                        "interval shorter",
                        duration_text(point.report.window.count()), duration_text(point.interval.count())));
}

// What asks for a reading means nothing where none comes.
void check_write_only(const Section& section, const PointConfig& point, Problems& problems) {
    if (!point.write_only)
        return;
    if (!point.writable)
        problems.error(section.place("write_only"),
                       "write_only: nothing may write it either; add writable: true, or limits");
    if (section.has("report"))
        problems.error(section.place("report"), "report means nothing with write_only: it is never read");
    if (point.writable && point.writable->max_step)
        problems.error(section.place("writable"),
                       "max_step: a step is measured from the present value, which write_only cannot know");
}

} // namespace

const KnownSource* find_source(KnownSources& sources, const std::string& name, const Place& asked,
                               Problems& problems) {
    const auto found = sources.find(name);
    if (found != sources.end()) {
        found->second.is_used = true;
        return &found->second;
    }
    std::vector<std::string> names;
    for (const auto& [known, source] : sources)
        names.push_back(known);
    problems.error(asked, fmt::format("there is no source {}{}", quote(name),
                                      names.empty() ? "; add it under `sources`" : hint(name, names)));
    // With a slip in the name the rest is checked as if it were right.
    const auto meant = sources.find(nearest(name, {names.begin(), names.end()}));
    return meant == sources.end() ? nullptr : &meant->second;
}

void PointReader::read_source(Section& section, const PointDefaults& defaults, PointConfig& point,
                              const PluginDescription*& plugin) {
    point.source = defaults.source;
    plugin = defaults.plugin;
    std::string name;
    section.read("source", name);
    if (!name.empty()) {
        const KnownSource* source = find_source(sources_, name, section.place("source"), problems_);
        plugin = source ? source->plugin : nullptr;
        point.source = name;
    } else if (point.source.empty()) {
        problems_.error(section.place(), "point has no source; name one here or in the device");
        plugin = nullptr;
    }
}

PointConfig PointReader::read(const Entries& entries, const Place& place, const PointDefaults& defaults) {
    PointConfig point;
    point.place = place;
    point.interval = defaults.interval;
    Section section("point", place, entries, point_keys(), problems_);
    section.read("name", point.name);
    std::string why;
    if (!point.name.empty() && !is_senml_name(point.name, why))
        problems_.error(section.place("name"), fmt::format("name {}: {}", quote(point.name), why));
    const PluginDescription* plugin = nullptr;
    read_source(section, defaults, point, plugin);
    section.check_names(other_keys(plugin, Level::point));
    section.read("unit", point.unit);
    check_unit(section, point, problems_);
    section.read("interval", point.interval);
    if (const Node* report = section.node("report")) {
        point.report = read_report(*report, problems_);
        check_report(section, point, problems_);
    }
    if (const Node* labels = section.node("labels"))
        point.labels = read_labels(*labels, problems_);
    if (const Node* writable = section.node("writable"))
        point.writable = read_writable(*writable, problems_);
    section.read("write_only", point.write_only);
    check_write_only(section, point, problems_);
    if (!plugin)
        return point;
    if (point.writable && !plugin->writes)
        problems_.error(section.place("writable"),
                        fmt::format("writable: plugin {} cannot write; leave the key out", plugin->name));
    point.settings =
        read_settings(*plugin, Level::point, entries, point_keys(), "point", place, options_, problems_);
    return point;
}

} // namespace things
