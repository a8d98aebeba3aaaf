// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/setup.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace things::cli {

/// The buses of some sources, opened by this process because no daemon owns them. Blocking calls; main
/// thread.
/// Each call waits for the plugin's answer, and for a plugin that hangs no longer than its deadline. Its
/// points are not polled by themselves.
class OpenBus {
public:
    /// Opens what `wanted` says yes to.
    /// Starts the sources; a device is touched with the first call only. `config` and `plugins` outlive it.
    OpenBus(const Config& config, PluginDirectory& plugins,
            const std::function<bool(const SourceConfig&)>& wanted);
    ~OpenBus();
    OpenBus(const OpenBus&) = delete;
    OpenBus& operator=(const OpenBus&) = delete;

    /// `unsupported` if no opened bus has the point.
    BusResult read(const std::string& device, const std::string& point);
    BusResult write(const std::string& device, const std::string& point, const Value& value);
    /// Returns "" or why it failed. Both handlers are called on another thread, one at a time.
    std::string discover(const std::string& source, std::vector<Setting> options,
                         const std::function<void(const std::string&)>& on_found,
                         const std::function<void(double)>& on_progress);

private:
    struct Line;
    Line* find(const std::string& device, const std::string& point, std::uint32_t& index);
    SystemClock clock_;
    std::vector<std::unique_ptr<Line>> lines_;
};

} // namespace things::cli
