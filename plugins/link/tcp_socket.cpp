// SPDX-License-Identifier: Apache-2.0
#include "link/tcp_socket.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::chrono::milliseconds slice{50};  // between looks at the host while a name is looked up
constexpr std::chrono::milliseconds least{200}; // a connection is not begun to be given up at once

void set_option(int fd, int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
}

/// Small writes leave at once; a peer that vanished without a word is noticed.
void tune(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 20'000);
}

/// Waits for a connection to come about: 0, an errno, or -1 when interrupted.
int await_connected(int fd, const Patience& patience) {
    int wake = patience.host != nullptr ? patience.host->wake_fd() : -1;
    for (;;) {
        if (patience.is_interrupted())
            return -1;
        auto left = std::chrono::ceil<std::chrono::milliseconds>(patience.deadline -
                                                                 std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return ETIMEDOUT;
        if (patience.host != nullptr && wake < 0)
            left = std::min(left, slice);
        pollfd descriptors[2] = {{fd, POLLOUT, 0}, {wake, POLLIN, 0}};
        int ready = ::poll(descriptors, 2, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
        if (ready > 0 && descriptors[0].revents != 0)
            break;
        if (ready > 0 && !patience.is_interrupted())
            wake = -1;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

} // namespace

struct TcpConnector::Lookup {
    std::string host, port;
    addrinfo hints{};
    gaicb request{};
    Lookup(const std::string& name, std::uint16_t number) : host(name), port(std::to_string(number)) {
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICSERV;
        request.ar_name = host.c_str();
        request.ar_service = port.c_str();
        request.ar_request = &hints;
    }
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;
    ~Lookup() {
        if (request.ar_result != nullptr)
            ::freeaddrinfo(request.ar_result);
    }
};

TcpConnector::TcpConnector() = default;

TcpConnector::~TcpConnector() {
    if (lookup_ != nullptr && ::gai_error(&lookup_->request) == EAI_INPROGRESS &&
        ::gai_cancel(&lookup_->request) == EAI_NOTCANCELED)
        (void)lookup_.release(); // its thread still writes there
}

OpenedLink TcpConnector::connect(const std::string& host, std::uint16_t port, const Patience& patience) {
    // A look-up cannot be stopped: one that took too long goes on, and the next call takes its result.
    if (lookup_ == nullptr) { // else one is still under way for the same host
        lookup_ = std::make_unique<Lookup>(host, port);
        gaicb* list[] = {&lookup_->request};
        if (int error = ::getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr); error != 0) {
            lookup_.reset();
            return {std::nullopt, fmt::format("cannot look up {}: {}", host, ::gai_strerror(error))};
        }
    }
    while (::gai_error(&lookup_->request) == EAI_INPROGRESS) {
        if (patience.is_interrupted())
            return {std::nullopt, fmt::format("interrupted while looking up {}", host)};
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return {std::nullopt,
                    fmt::format("looking up {} takes too long: is the name server reachable?", host)};
        const gaicb* list[] = {&lookup_->request};
        timespec wait{0, static_cast<long>(std::chrono::nanoseconds(slice).count())};
        // In slices, since it knows no wake_fd.
        ::gai_suspend(list, 1, &wait);
    }
    std::unique_ptr<Lookup> lookup = std::move(lookup_);
    if (int error = ::gai_error(&lookup->request); error != 0)
        return {std::nullopt, fmt::format("cannot look up {}: {}", host, ::gai_strerror(error))};
    return connect_to_any(lookup->request.ar_result, fmt::format("{}:{}", host, port), patience);
}

OpenedLink connect_to_any(const addrinfo* addresses, const std::string& where, const Patience& patience) {
    int error = EHOSTUNREACH, left = 0;
    for (const addrinfo* entry = addresses; entry != nullptr; entry = entry->ai_next)
        ++left;
    const LinkTime deadline = std::max(patience.deadline, std::chrono::steady_clock::now() + least);
    for (const addrinfo* entry = addresses; entry != nullptr; entry = entry->ai_next, --left) {
        // One that swallows everything must leave time for the others.
        const LinkTime now = std::chrono::steady_clock::now();
        const Patience share{now + (deadline - now) / left, patience.host};
        int fd = ::socket(entry->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        Stream stream(fd, Stream::Kind::socket, false);
        tune(fd);
        error = ::connect(fd, entry->ai_addr, entry->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS)
            error = await_connected(fd, share);
        if (error == 0)
            return {std::move(stream), {}};
        if (error < 0)
            return {std::nullopt, fmt::format("interrupted while connecting to {}", where)};
    }
    const char* hint = error == ECONNREFUSED ? "; nothing listens there: is the serial server set up?" : "";
    return {std::nullopt, fmt::format("cannot connect to {}: {}{}", where, std::strerror(error), hint)};
}

} // namespace things
