// SPDX-License-Identifier: Apache-2.0
#include "plugins/link/pty.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace things {

Pty::Pty() {
    char name[128] = {};
    termios raw{};
    cfmakeraw(&raw);
    REQUIRE(openpty(&device_, &keeper_, name, &raw, nullptr) == 0);
    REQUIRE(fcntl(device_, F_SETFL, O_NONBLOCK) == 0);
    path_ = name;
}

Pty::~Pty() {
    hang_up();
}

void Pty::hang_up() {
    for (int* fd : {&keeper_, &device_})
        if (*fd >= 0) {
            ::close(*fd);
            *fd = -1;
        }
}

void Pty::send(std::string_view bytes) const {
    while (!bytes.empty()) {
        ssize_t count = ::write(device_, bytes.data(), bytes.size());
        if (count > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            continue;
        }
        pollfd writable{device_, POLLOUT, 0};
        REQUIRE(::poll(&writable, 1, 5000) > 0);
    }
}

std::string Pty::receive_until(std::string_view end) const {
    std::string all;
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (all.find(end) == std::string::npos && std::chrono::steady_clock::now() < deadline) {
        pollfd readable{device_, POLLIN, 0};
        char bytes[512];
        if (::poll(&readable, 1, 100) <= 0)
            continue;
        ssize_t count = ::read(device_, bytes, sizeof bytes);
        if (count > 0)
            all.append(bytes, static_cast<std::size_t>(count));
    }
    return all;
}

int Pty::unread() const {
    int count = 0;
    ::ioctl(keeper_, FIONREAD, &count);
    return count;
}

termios Pty::settings() const {
    termios options{};
    REQUIRE(tcgetattr(keeper_, &options) == 0);
    return options;
}

} // namespace things
