// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "control/server.hpp"
#include "gateway/stage_alarms.hpp"
#include "status/web_server.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace things {

/// Page, metrics and control socket. The gateway works without them: one that cannot be opened is an alarm
/// and is tried again every 10 s. Loop only.
class SideDoors {
public:
    /// The loop and `alarms` outlive it.
    SideDoors(boost::asio::io_context& loop, const Config& config,
              std::map<std::string, WebServer::Page> pages, StageAlarms& alarms);

    /// Verbs are added before the first look().
    [[nodiscard]] ControlServer& control() { return control_; }
    /// Opens what is not open, now and then; call each second.
    void look(std::int64_t boot_ms);
    /// Nobody may ask for anything any more.
    void close();
    /// Where the page is, for the log; empty if it is not open.
    [[nodiscard]] std::string page_url() const;

private:
    std::optional<WebServer> web_;
    ControlServer control_;
    StageAlarms& alarms_;
    const std::string page_host_; ///< scheme and address
    const std::filesystem::path socket_;
    std::int64_t due_ms_ = 0;
    bool is_closed_ = false;
};

} // namespace things
