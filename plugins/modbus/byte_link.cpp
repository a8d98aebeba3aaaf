// SPDX-License-Identifier: Apache-2.0
#include "modbus/byte_link.hpp"

#include <array>
#include <cerrno>
#include <ctime>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

timespec to_timespec(std::chrono::nanoseconds span) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(span);
    return {static_cast<std::time_t>(whole.count()), static_cast<long>((span - whole).count())};
}

} // namespace

short wait_for(int fd, short events, SteadyTime deadline, int wake_fd) {
    std::array<pollfd, 2> fds{{{fd, events, 0}, {wake_fd, POLLIN, 0}}};
    for (;;) {
        const auto left = std::max(std::chrono::nanoseconds(0),
                                   std::chrono::nanoseconds(deadline - std::chrono::steady_clock::now()));
        const timespec timeout = to_timespec(left);
        const int ready = ppoll(fds.data(), wake_fd >= 0 ? 2 : 1, &timeout, nullptr);
        if (ready >= 0 || errno != EINTR)
            return ready > 0 ? fds[0].revents : short{0};
    }
}

ByteLink::~ByteLink() = default;

SteadyTime ByteLink::now() const {
    return std::chrono::steady_clock::now();
}

void ByteLink::sleep_until(SteadyTime when) {
    const timespec absolute = to_timespec(when.time_since_epoch());
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &absolute, nullptr) == EINTR)
        continue;
}

bool DescriptorLink::send(std::span<const std::uint8_t> bytes, SteadyTime deadline) {
    while (!bytes.empty()) {
        const ssize_t sent = socket_ ? ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)
                                     : ::write(fd_, bytes.data(), bytes.size());
        if (sent > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            trouble_ = explain(errno);
            return false;
        }
        if (wait_for(fd_, POLLOUT, deadline) == 0) {
            trouble_ = explain(ETIMEDOUT);
            return false;
        }
    }
    return true;
}

ByteLink::Received DescriptorLink::receive(std::span<std::uint8_t> room, SteadyTime deadline,
                                           std::size_t& got) {
    got = 0;
    for (;;) {
        const short events = wait_for(fd_, POLLIN, deadline);
        if (events == 0)
            return Received::nothing;
        const ssize_t read = socket_ ? ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT)
                                     : ::read(fd_, room.data(), room.size());
        if (read > 0) {
            got = static_cast<std::size_t>(read);
            return Received::bytes;
        }
        if (read < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        trouble_ = explain(read == 0 ? 0 : errno);
        return Received::lost;
    }
}

} // namespace things
