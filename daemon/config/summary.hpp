// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// What `check` says of a configuration: pure functions from values to text or JSON.
namespace things {

/// How one source will read its points, as its plugin predicts (Validation::plan of polling/source.hpp).
/// Taken from the JSON lines of the plugin's plan().
struct SourcePlan {
    std::string source;
    std::uint64_t requests = 0;     ///< in one cycle
    double cycle_ms = 0;            ///< 0: the plugin does not say
    double load = 0;                ///< share of the line's time, 0 to 1; above 1: cannot be kept
    std::vector<std::string> lines; ///< for people, one a request
    std::vector<std::string> rows;  ///< the same as JSON objects
};

/// What one device sends. Upper bounds: points that report on change send less.
struct DeviceTraffic {
    std::string device;
    std::size_t points = 0;
    double readings_per_day = 0;
    double uploads_per_day = 0;
    double bytes_per_month = 0; ///< packs, headers and TLS records both ways, 30 days
};

/// The estimate of a whole configuration. How it is made stands at the top of summary.cpp.
struct Traffic {
    std::vector<DeviceTraffic> devices;
    double readings_per_day = 0;
    double uploads_per_day = 0;
    double bytes_per_month = 0;
    double flash_per_day_online = 0; ///< bytes written to flash while the platform is reached
    double flash_per_day_outage = 0; ///< while it is not
};
/// Counts every point as reporting every value; see the top of traffic.cpp for the constants and where they
/// were measured.
Traffic estimate_traffic(const Config& config);

/// What a summary lists beside sources, devices and totals.
struct SummaryDetail {
    bool plan = false;   ///< each request
    bool points = false; ///< each point
};
/// For people, lines ended by \n.
std::string summary_text(const Config& config, const std::vector<SourcePlan>& plans,
                         SummaryDetail detail = {});
/// For scripts: one JSON object, described in README.
std::string summary_json(const Config& config, const std::vector<SourcePlan>& plans);

/// The merged configuration as YAML: includes, profiles and fleets resolved, every key with its value,
/// secrets as the place they come from or as a stand-in. Loads again. `find_plugin` as in LoadOptions.
std::string print_config(const Config& config,
                         const std::function<const PluginDescription*(const std::string&)>& find_plugin);

} // namespace things
