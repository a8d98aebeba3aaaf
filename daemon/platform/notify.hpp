// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

// Messages to the service manager (sd_notify(3)). Without one every call does nothing. Any thread. Each is
// one datagram that is sent or lost, never waited for: a manager that does not read its socket must not stop
// the loop.
namespace things::notify {

/// Start-up is done, or a reload has ended, well or not (sd_notify's READY=1).
void ready();
/// Start-up goes on: the manager waits at least so long from now on, whatever its start timeout says, and
/// shows the text. To be said again before that is over.
void starting(std::chrono::microseconds patience, const std::string& text);
/// A reload begins; `monotonic_us` is CLOCK_MONOTONIC, which Type=notify-reload demands. Must be followed by
/// ready().
void reloading(std::int64_t monotonic_us);
/// The daemon is about to end; the manager's stop timeout runs.
void stopping();
/// One line for `systemctl status`.
void status(const std::string& text);
/// "Still making progress"; the manager kills and restarts the daemon when these cease.
void watchdog();
/// How often `watchdog` must be called at least, in milliseconds; 0: the manager does not watch.
[[nodiscard]] std::int64_t watchdog_ms();

} // namespace things::notify
