// SPDX-License-Identifier: Apache-2.0
#include "sysinfo/measure.hpp"
#include "things_plugin.hpp"

#include <iterator>
#include <utility>

// The plugin `sysinfo`: the gateway itself as a device. See README.md.

namespace {

struct Point {
    std::string what;
    bool is_failing = false;
};

class Sysinfo {
public:
    Sysinfo(const things::PluginHost& host, const things_source_config& config)
        : host_(host), machine_(things::PluginSettings(config).text("root", "/")) {
        for (std::uint32_t i = 0; i < config.point_count; ++i)
            points_.push_back(
                {things::PluginSettings(*config.points[i]).text("value", config.points[i]->name)});
    }
    static std::unique_ptr<Sysinfo> make(const things::PluginHost& host, const things_source_config& config);
    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);

private:
    void fail(std::uint32_t index, Point& point, const std::string& why);

    things::PluginHost host_;
    things::Machine machine_;
    std::vector<Point> points_;
};

std::unique_ptr<Sysinfo> Sysinfo::make(const things::PluginHost& host, const things_source_config& config) {
    auto source = std::make_unique<Sysinfo>(host, config);
    bool is_valid = true;
    for (std::uint32_t i = 0; i < source->points_.size(); ++i) {
        const std::string& what = source->points_[i].what;
        if (things::is_measurement(what))
            continue;
        std::string problem = '"' + what + "\" is none of:";
        for (const things::Measurement& measurement : things::measurements())
            problem.append(1, ' ').append(measurement.name);
        host.problem(THINGS_POINT, i, "value", problem);
        is_valid = false;
    }
    return is_valid ? std::move(source) : nullptr;
}

void Sysinfo::fail(std::uint32_t index, Point& point, const std::string& why) {
    point.is_failing = true;
    host_.report(THINGS_PROBLEM, THINGS_POINT, index, "unavailable", point.what + ": " + why);
}

int Sysinfo::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t /*deadline_ms*/) {
    // A measurement that this machine lacks must not prevent the others.
    bool is_complete = true;
    for (std::uint32_t i = 0; i < count; ++i) {
        Point& point = points_.at(points[i]);
        std::string why;
        const auto value = machine_.measure(point.what, why);
        if (!value) {
            is_complete = false;
            fail(points[i], point, why.empty() ? "not understood" : why);
            continue;
        }
        if (std::exchange(point.is_failing, false))
            host_.report(THINGS_RECOVERED, THINGS_POINT, points[i], "unavailable", "can be read again");
        host_.emit(points[i], std::visit([](const auto& v) { return things::make_value(v); }, *value));
    }
    return is_complete ? THINGS_OK : THINGS_FAILED;
}

const things_plugin* make_table() {
    using things::make_key;
    static const things_key keys[] = {
        make_key(THINGS_SOURCE, "root", THINGS_TYPE_TEXT, "/", "Where /proc and /sys are found."),
        make_key(
            THINGS_POINT, "value", THINGS_TYPE_TEXT, "",
            "What to measure: cpu_temperature, load1, memory_used, disk_free:/var ...; the default is the "
            "point's name."),
    };
    static const things_key* const pointers[] = {&keys[0], &keys[1]};
    using Border = things::PluginBorder<Sysinfo>;
    static things_plugin table{};
    table.size = sizeof table;
    table.abi_major = THINGS_ABI_MAJOR;
    table.abi_minor = THINGS_ABI_MINOR;
    table.key_count = std::size(keys);
    table.name = "sysinfo";
    table.version = "1.0";
    table.summary = "the gateway itself: temperature, load, memory, disk, network, undervoltage";
    table.keys = pointers;
    table.create = &Border::create;
    table.destroy = &Border::destroy;
    table.poll = &Border::poll;
    return &table;
}

} // namespace

extern "C" const things_plugin* things_plugin_entry() {
    static const things_plugin* const table = make_table();
    return table;
}
