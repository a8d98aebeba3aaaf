// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/uploader.hpp"
#include "gateway/checked_config.hpp"
#include "gateway/device_names.hpp"
#include "polling/sources.hpp"
#include "queue/queue.hpp"
#include "status/alarms.hpp"
#include "status/live_values.hpp"
#include "status/snapshot.hpp"
#include "status/web_server.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace things {

class Clock;

/// A command as it is shown.
CommandView view_of(const Command& command);

/// What is looked at; all of it outlives the view.
struct StatusParts {
    const CheckedConfig& config;
    const Clock& clock;
    const DeviceNames& devices;
    const LiveValues& live;
    const Alarms& alarms;
    Queue& queue;
    const Uploader& uploader;
    const Sources& sources;
};

/// What can be seen of the gateway from outside: the status document, the metrics, the charts and the page.
/// Owns what is only kept to be shown: histories and loads. Loop only.
class StatusView {
public:
    explicit StatusView(const StatusParts& parts);

    /// Call each second.
    void update();
    [[nodiscard]] Snapshot snapshot() const;
    [[nodiscard]] std::map<std::string, WebServer::Page> pages();

private:
    struct Load {
        std::uint64_t busy_us = 0; ///< when it was looked at last
        double mean = 0;           ///< 0 to 1, over about a minute
    };

    /// Only of sources that exist: the loads of a removed one go.
    void update_loads();
    void view_queue(Snapshot& view) const;
    void view_uploads(Snapshot& view) const;
    void view_sources(Snapshot& view) const;
    void view_devices(Snapshot& view) const;
    /// Why nothing of this device can be read from this source; empty if it can.
    [[nodiscard]] std::string problem_of(const std::string& source, const std::string& device) const;
    [[nodiscard]] std::vector<ChartView> charts() const;
    /// What was last seen of a point; null if nothing.
    [[nodiscard]] const LiveValues::Last* live(const std::string& device, const std::string& point) const;

    const StatusParts parts_;
    const std::int64_t started_ms_;
    History queued_history_, uploads_history_;
    std::uint64_t uploaded_before_ = 0;
    std::unordered_map<std::string, Load> loads_; ///< by source
};

} // namespace things
