// SPDX-License-Identifier: Apache-2.0
#include "platform/notify.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace things::notify {

namespace {

/// As sd_notify(3), but never waits: a manager that does not read its socket must not stop the loop. A
/// message that finds no room is lost, as it would be with a manager that is gone.
void send(const std::string& state) {
    const char* path = std::getenv("NOTIFY_SOCKET"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    sockaddr_un address{};
    if (path == nullptr || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof address.sun_path)
        return;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0'; // the abstract name space
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    (void)!sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                  size);
    close(fd);
}

} // namespace

void ready() {
    send("READY=1");
}

void starting(std::chrono::microseconds patience, const std::string& text) {
    send(fmt::format("EXTEND_TIMEOUT_USEC={}\nSTATUS={}", patience.count(), text));
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
