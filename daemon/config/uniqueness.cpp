// SPDX-License-Identifier: Apache-2.0
#include "config/uniqueness.hpp"

#include "config/scalar.hpp"
#include "config/section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sys/stat.h>
#include <unordered_map>

namespace things {

namespace {

struct First {
    Place place;
    std::string device, point;
};
using Firsts = std::unordered_map<std::string, First>;

std::string scalar_text(const Scalar& scalar) {
    struct Show {
        std::string operator()(std::monostate) const { return ""; }
        std::string operator()(bool value) const { return value ? "true" : "false"; }
        std::string operator()(std::int64_t value) const { return std::to_string(value); }
        std::string operator()(std::uint64_t value) const { return std::to_string(value); }
        std::string operator()(double value) const { return number_text(value); }
        std::string operator()(const std::string& value) const { return value; }
    };
    return std::visit(Show{}, scalar);
}

// `entity: 40001` of data sheets is the register that `holding: 0` is.
std::string plain_address(const Setting& setting) {
    const std::string text = scalar_text(setting.value);
    if (setting.key != "entity" || text.size() < 5 || text.size() > 6)
        return {};
    const std::size_t table = std::string_view("01.34").find(text.front());
    const std::optional<std::int64_t> number = parse_integer(text.substr(text.find_first_not_of('0', 1)));
    constexpr std::array tables{"coil", "discrete", "", "input", "holding"};
    if (table == std::string_view::npos || table == 2 || !number)
        return {};
    return fmt::format("{}={}", tables.at(table), *number - 1);
}

void add_setting(std::vector<std::string>& parts, const Setting& setting) {
    if (std::string address = plain_address(setting); !address.empty()) {
        parts.push_back(std::move(address));
        return;
    }
    std::string text = setting.key;
    text += '=';
    text += scalar_text(setting.value);
    for (const Scalar& item : setting.items)
        text.append(1, ',').append(scalar_text(item));
    parts.push_back(std::move(text));
}

// Whether a setting says where the point is found: one of a group, or a required one.
bool is_address(const PluginDescription& plugin, const Setting& setting) {
    return std::any_of(plugin.keys.begin(), plugin.keys.end(), [&setting](const KeyDescription& key) {
        return key.level == Level::point && key.name == setting.key && (!key.group.empty() || key.required);
    });
}

// Written out or left out: a default is the same.
bool is_default(const PluginDescription& plugin, const Setting& setting) {
    return std::any_of(plugin.keys.begin(), plugin.keys.end(), [&setting](const KeyDescription& key) {
        return key.name == setting.key && key.level != Level::source && !key.fallback.empty() &&
               key.fallback == scalar_text(setting.value);
    });
}

// Everything that decides which bytes a point reads and what is made of them; empty if the plugin knows no
// addresses.
std::string identity(const DeviceConfig& device, const PointConfig& point, const PluginDescription& plugin) {
    std::vector<std::string> parts;
    parts.reserve(point.settings.size() + device.settings.size());
    bool has_address = false;
    for (const Setting& setting : point.settings) {
        has_address = has_address || is_address(plugin, setting);
        if (!is_default(plugin, setting))
            add_setting(parts, setting);
    }
    if (!has_address)
        return {};
    for (const Setting& setting : device.settings) {
        const auto same = [&setting](const Setting& other) {
            return other.key == setting.key;
        };
        if (device.source == point.source && !is_default(plugin, setting) &&
            std::none_of(point.settings.begin(), point.settings.end(), same))
            add_setting(parts, setting);
    }
    // The order in which keys were written means nothing.
    std::sort(parts.begin(), parts.end());
    std::string key = point.source;
    key.append(1, '|').append(std::to_string(static_cast<int>(point.report.aggregate)));
    key.append(1, '|').append(point.unit);
    for (const std::string& part : parts)
        key.append(1, '|').append(part);
    return key;
}

// /dev/serial/by-id has links to /dev/ttyUSB0, and a device may have two nodes.
std::string port_identity(const std::string& port) {
    struct stat status {};
    if (::stat(port.c_str(), &status) == 0 && S_ISCHR(status.st_mode))
        return fmt::format("device {}", status.st_rdev);
    std::error_code error;
    const std::filesystem::path path = std::filesystem::weakly_canonical(port, error);
    return error ? port : path.string();
}

class Checker {
public:
    explicit Checker(Problems& problems) : problems_(problems) {}

    void check_point(const DeviceConfig& device, const PointConfig& point, const PluginDescription& plugin) {
        std::string key = identity(device, point, plugin);
        if (key.empty())
            return;
        const auto [found, is_new] =
            registers_.emplace(std::move(key), First{point.place, device.name, point.name});
        if (is_new)
            return;
        const First& first = found->second;
        // Within a device it is a slip of the pen; across devices it may be meant.
        if (first.device == device.name)
            problems_.error(point.place,
                            fmt::format("point {} reads the same as point {} at {}; keep one, or correct its "
                                        "address",
                                        quote(point.name), quote(first.point), first.place.text()));
        else
            problems_.warning(device.place,
                              fmt::format("point {} reads the same as point {} of device {}; is the source "
                                          "or unit_id right?",
                                          quote(point.name), quote(first.point), quote(first.device)));
    }
    void check_outcomes(const DeviceConfig& device) {
        for (const PointConfig& point : device.points) {
            const auto same = [&point](const PointConfig& other) {
                return other.name == point.writable->outcome;
            };
            if (point.writable && std::any_of(device.points.begin(), device.points.end(), same))
                problems_.error(
                    point.place,
                    fmt::format("outcome {} is the name of a point of this device; choose another",
                                quote(point.writable->outcome)));
        }
    }

    /// Two plugins that open one port take each other's bytes.
    void check_port(const SourceConfig& source) {
        for (const Setting& setting : source.settings) {
            const auto* port = std::get_if<std::string>(&setting.value);
            if (setting.key != "port" || !port)
                continue;
            const auto [first, is_new] = ports_.emplace(port_identity(*port), &source);
            if (!is_new)
                problems_.error(
                    setting.place,
                    fmt::format("port {} is that of source {} at {} as well; a line has one source, to "
                                "which all its devices belong",
                                quote(*port), quote(first->second->name), first->second->place.text()));
        }
    }

private:
    Problems& problems_;
    Firsts registers_;
    std::unordered_map<std::string, const SourceConfig*> ports_;
};

} // namespace

void check_uniqueness(const Config& config,
                      const std::function<const PluginDescription*(const std::string&)>& find_plugin,
                      Problems& problems) {
    std::unordered_map<std::string, const PluginDescription*> plugins;
    for (const SourceConfig& source : config.sources)
        plugins[source.name] = find_plugin ? find_plugin(source.plugin) : nullptr;
    Checker checker(problems);
    for (const SourceConfig& source : config.sources)
        checker.check_port(source);
    for (const DeviceConfig& device : config.devices) {
        checker.check_outcomes(device);
        for (const PointConfig& point : device.points) {
            const auto plugin = plugins.find(point.source);
            if (plugin != plugins.end() && plugin->second)
                checker.check_point(device, point, *plugin->second);
        }
    }
}

} // namespace things
