// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

// Messages to the service manager (sd_notify(3)). Without one every call does nothing. Any thread.
namespace things::notify {

void ready();
void reloading(std::int64_t monotonic_us);
void stopping();
/// One line for `systemctl status`.
void status(const std::string& text);
/// "Still making progress"; the manager kills and restarts the daemon when these cease.
void watchdog();
/// How often `watchdog` must be called at least, in milliseconds; 0: the manager does not watch.
[[nodiscard]] std::int64_t watchdog_ms();

} // namespace things::notify
