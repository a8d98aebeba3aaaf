// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "serial/escaped_text.hpp"
#include "serial/frame_reader.hpp"
#include "serial/point_value.hpp"

#include "link/serial_port.hpp"
#include "things_plugin.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The keys of plugin serial, and what they make of a source's configuration.
namespace things {

/// The key table of the plugin: pointers that live as long as the shared object.
[[nodiscard]] const std::vector<const things_key*>& serial_keys();

/// Either `port` with `line`, or `host` with tcp_port. `retries` come on top of the first try.
struct SerialOptions {
    std::string port, host;
    std::uint16_t tcp_port = 0;
    LineSettings line;
    FrameRules frame;
    std::chrono::milliseconds silence{50};
    std::chrono::milliseconds timeout{1000};
    std::chrono::milliseconds pause{0};
    std::chrono::milliseconds alarm_after{60'000};
    int retries = 1;
    std::string on_open;          ///< sent when the link was opened
    std::optional<Pattern> guard; ///< for all points
    /// "/dev/ttyUSB0", or "192.0.2.7:3001".
    [[nodiscard]] std::string where() const;
};

/// A point as configured.
/// Its index is that of the host's point. `expect` and `refuse` are looked at after a write only.
struct SerialPoint {
    std::string name;
    std::uint32_t device = 0;
    std::int64_t interval_ms = 0;
    PointRules rules;
    std::string request; ///< bytes to send before; empty: it comes by itself
    std::optional<Template> write;
    std::optional<Pattern> expect, refuse; ///< answers to a write
};

/// Both report mistakes through the host's problem(); `is_good` turns false then.
/// Goes on after a mistake, so that all are told; what is returned then is not to be used.
[[nodiscard]] SerialOptions read_serial_options(const PluginHost& host, const things_source_config& config,
                                                bool& is_good);
[[nodiscard]] std::vector<SerialPoint> read_serial_points(const PluginHost& host,
                                                          const things_source_config& config,
                                                          const SerialOptions& options, bool& is_good);

} // namespace things
