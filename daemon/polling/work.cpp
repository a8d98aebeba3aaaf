// SPDX-License-Identifier: Apache-2.0
#include "polling/work.hpp"

#include <set>
#include <string_view>
#include <unordered_map>

namespace things {

namespace {

/// Finds or adds a device to a source's work.
std::uint32_t device_index(SourceWork& work, const DeviceConfig& device) {
    if (work.devices.empty() || work.devices.back().name != device.name)
        work.devices.push_back(
            {device.name, device.source == work.config.name ? device.settings : std::vector<Setting>{}});
    return static_cast<std::uint32_t>(work.devices.size() - 1);
}

std::vector<std::filesystem::path> hidden_folders(const Config& config) {
    std::set<std::filesystem::path> folders = {config.file.parent_path(), config.queue.path.parent_path(),
                                               config.queue.hot_path, config.control_socket.parent_path()};
    constexpr std::string_view file = "file ";
    for (const DeviceConfig& device : config.devices)
        if (device.secret_origin.compare(0, file.size(), file) == 0)
            folders.insert(std::filesystem::path(device.secret_origin.substr(file.size())).parent_path());
    std::set<std::filesystem::path> real;
    for (const auto& folder : folders) {
        std::error_code error;
        auto path = std::filesystem::weakly_canonical(folder.empty() ? "." : folder, error);
        if (!error)
            real.insert(std::move(path));
    }
    return {real.begin(), real.end()};
}

void forget_places(std::vector<Setting>& settings) {
    for (Setting& setting : settings)
        setting.place = {};
}

} // namespace

Work make_work(const Config& config) {
    Work work;
    std::unordered_map<std::string, std::size_t> by_name;
    const std::vector<std::filesystem::path> hidden = hidden_folders(config);
    for (const SourceConfig& source : config.sources) {
        by_name.emplace(source.name, work.sources.size());
        work.sources.push_back({source, {}, {}, hidden});
    }
    work.origins.resize(work.sources.size());
    for (std::size_t d = 0; d < config.devices.size(); ++d) {
        const DeviceConfig& device = config.devices[d];
        std::vector<PointAddress> addresses;
        addresses.reserve(device.points.size());
        for (std::size_t p = 0; p < device.points.size(); ++p) {
            const PointConfig& point = device.points[p];
            const std::size_t s = by_name.at(point.source.empty() ? device.source : point.source);
            SourceWork& source = work.sources[s];
            const std::uint32_t index = device_index(source, device);
            addresses.push_back({s, static_cast<std::uint32_t>(source.points.size())});
            source.points.push_back({index, point});
            work.origins[s].push_back({d, p});
        }
        work.addresses.push_back(std::move(addresses));
    }
    return work;
}

void forget_places(Config& config) {
    for (SourceConfig& source : config.sources) {
        source.place = {};
        forget_places(source.settings);
    }
    for (DeviceConfig& device : config.devices) {
        device.place = {};
        forget_places(device.settings);
        for (PointConfig& point : device.points) {
            point.place = {};
            forget_places(point.settings);
        }
    }
}

void forget_settings(Config& config) {
    for (DeviceConfig& device : config.devices) {
        // Assigned, not cleared: that gives the memory back.
        device.settings = {};
        for (PointConfig& point : device.points)
            point.settings = {};
    }
}

} // namespace things
