// SPDX-License-Identifier: Apache-2.0
#include "platform/link_watch.hpp"

#include "platform/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace asio = boost::asio;

namespace {

/// Addresses come before routes and DNS servers; by then the first try would fail.
constexpr std::chrono::milliseconds calm{300};

int open_route_socket() {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return -1;
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/// Whether one of the messages says that an address or a route was added.
bool has_addition(const char* bytes, std::size_t size) {
    while (size >= sizeof(nlmsghdr)) {
        nlmsghdr header{};
        std::memcpy(&header, bytes, sizeof header);
        if (header.nlmsg_type == RTM_NEWADDR || header.nlmsg_type == RTM_NEWROUTE)
            return true;
        const std::size_t step = NLMSG_ALIGN(header.nlmsg_len);
        if (step < sizeof header || step > size)
            return false;
        bytes += step;
        size -= step;
    }
    return false;
}

} // namespace

class LinkWatch::Core : public std::enable_shared_from_this<Core> {
public:
    Core(asio::io_context& loop, int fd, std::function<void()> on_up)
        : socket_(loop, fd), timer_(loop), on_up_(std::move(on_up)) {}

    void wait() {
        socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](boost::system::error_code error) {
                               if (!error)
                                   self->on_readable();
                           });
    }
    void close() {
        on_up_ = nullptr;
        timer_.cancel();
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

private:
    void on_readable() {
        std::array<char, 8192> bytes{};
        for (;;) {
            const ssize_t n = recv(socket_.native_handle(), bytes.data(), bytes.size(), 0);
            if (n < 0 && errno == EINTR)
                continue;
            const bool lost = n < 0 && errno == ENOBUFS; // too many at once: something changed
            if (n <= 0 && !lost)
                break;
            if (lost || has_addition(bytes.data(), static_cast<std::size_t>(n)))
                arm();
        }
        wait();
    }
    void arm() {
        if (std::exchange(is_armed_, true))
            return;
        timer_.expires_after(calm);
        timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
            self->is_armed_ = false;
            if (!error && self->on_up_)
                self->on_up_();
        });
    }

    asio::posix::stream_descriptor socket_;
    asio::steady_timer timer_;
    std::function<void()> on_up_;
    bool is_armed_ = false;
};

LinkWatch::LinkWatch(asio::io_context& loop, std::function<void()> on_up) {
    const int fd = open_route_socket();
    if (fd < 0) {
        log::debug("links are not watched: {}", std::strerror(errno));
        return;
    }
    core_ = std::make_shared<Core>(loop, fd, std::move(on_up));
    core_->wait();
}

LinkWatch::~LinkWatch() {
    if (core_)
        core_->close();
}

} // namespace things
