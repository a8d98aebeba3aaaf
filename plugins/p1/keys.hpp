// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/cipher.hpp"
#include "p1/selection.hpp"
#include "p1/telegram_stream.hpp"

#include "link/serial_port.hpp"
#include "things_plugin.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The keys of plugin p1, and what they make of a source's configuration.
namespace things {

/// The key table of the plugin: pointers that live as long as the shared object.
[[nodiscard]] const std::vector<const things_key*>& p1_keys();

/// Either `port` or `host` with tcp_port. `baud` and `frame` matter on a port only, `address`, `wake_up`,
/// `max_baud` and `timeout` in mode C only.
struct P1Options {
    std::string port, host;
    std::uint16_t tcp_port = 0;
    std::optional<int> baud;          ///< nothing: found out
    std::optional<std::string> frame; ///< "7E1"; nothing: found out
    bool is_mode_c = false;
    std::string address; ///< of the meter, in mode C
    bool wake_up = false;
    int max_baud = 9600;
    std::optional<MeterKeys> keys; ///< given: telegrams come encrypted
    TelegramRules rules;
    bool is_meter_clock = false;
    std::chrono::milliseconds alarm_after{60'000};
    std::chrono::milliseconds timeout{3'000};
    [[nodiscard]] std::string where() const; ///< "/dev/ttyUSB0" or "192.0.2.7:3001"
};

/// A point as configured.
/// Its index is that of the host's point.
struct P1Point {
    Selection selection;
    std::string name, unit;
    const UnitScale* wanted = nullptr; ///< null: the primary unit, or none
    std::int64_t interval_ms = 0;
};

/// Both report mistakes through the host's problem(); `is_good` turns false then.
/// Goes on after a mistake, so that all are told; what is returned then is not to be used.
[[nodiscard]] P1Options read_p1_options(const PluginHost& host, const things_source_config& config,
                                        bool& is_good);
[[nodiscard]] std::vector<P1Point> read_p1_points(const PluginHost& host, const things_source_config& config,
                                                  bool& is_good);

} // namespace things
