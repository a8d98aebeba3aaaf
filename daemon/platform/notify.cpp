// SPDX-License-Identifier: Apache-2.0
#include "platform/notify.hpp"

#include <fmt/format.h>

#include <systemd/sd-daemon.h>

namespace things::notify {

namespace {

void send(const std::string& state) {
    sd_notify(0, state.c_str());
}

} // namespace

void ready() {
    send("READY=1");
}

void reloading(std::int64_t monotonic_us) {
    send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us));
}

void stopping() {
    send("STOPPING=1");
}

void status(const std::string& text) {
    send("STATUS=" + text);
}

void watchdog() {
    send("WATCHDOG=1");
}

std::int64_t watchdog_ms() {
    std::uint64_t us = 0;
    return sd_watchdog_enabled(0, &us) > 0 ? static_cast<std::int64_t>(us / 1000) : 0;
}

} // namespace things::notify
