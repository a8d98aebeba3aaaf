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

constexpr std::chrono::milliseconds slice{50}; // between looks at the host while a name is looked up
#ifdef __SANITIZE_THREAD__
constexpr bool lookup_blocks = true; // this checker crashes on threads that the C library makes for itself
#else
constexpr bool lookup_blocks = false;
#endif
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
    switch (wait_for(fd, POLLOUT, patience)) {
    case LinkOutcome::interrupted:
        return -1;
    case LinkOutcome::timeout:
        return ETIMEDOUT;
    default:
        break;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

LinkTrouble interruption() {
    return {"interrupted", "", true};
}

LinkTrouble unknown_host(const std::string& host, int error) {
    return {"unknown_host", fmt::format("{} has no address ({}). Check the name, or give the address itself; "
                                        "check the name server of this gateway.",
                                        host, ::gai_strerror(error))};
}

} // namespace

/// getaddrinfo_a works on a thread of the C library, so that a name server that does not answer costs no more
/// than the deadline.
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
    /// An error of getaddrinfo, or 0.
    [[nodiscard]] int begin() {
        if (lookup_blocks)
            return resolve(0);
        gaicb* list[] = {&request};
        return ::getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
    }
    [[nodiscard]] int resolve(int flags) {
        hints.ai_flags |= flags;
        return ::getaddrinfo(host.c_str(), port.c_str(), &hints, &request.ar_result);
    }
    /// EAI_INPROGRESS while it is under way.
    [[nodiscard]] int state() { return lookup_blocks ? 0 : ::gai_error(&request); }
    /// In slices, since it knows no wake_fd.
    void wait() const {
        const gaicb* list[] = {&request};
        const timespec time = to_timespec(slice);
        ::gai_suspend(list, 1, &time);
    }
};

TcpConnector::TcpConnector() = default;

TcpConnector::~TcpConnector() {
    if (lookup_ != nullptr && lookup_->state() == EAI_INPROGRESS &&
        ::gai_cancel(&lookup_->request) == EAI_NOTCANCELED)
        (void)lookup_.release(); // its thread still writes there
}

OpenedLink TcpConnector::connect(const std::string& host, std::uint16_t port, const Patience& patience) {
    const auto connect_to = [&host, port, &patience](const Lookup& found) {
        return connect_to_any(found.request.ar_result, tcp_place(host, port), patience);
    };
    // An address needs no thread and no name server.
    if (Lookup numeric(host, port); numeric.resolve(AI_NUMERICHOST) == 0)
        return connect_to(numeric);
    // A look-up cannot be stopped: one that took too long goes on, and the next call takes its result.
    int error = 0;
    if (lookup_ == nullptr) {
        lookup_ = std::make_unique<Lookup>(host, port);
        error = lookup_->begin();
    }
    while (error == 0 && lookup_->state() == EAI_INPROGRESS) {
        if (patience.is_interrupted())
            return {std::nullopt, interruption()};
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return {std::nullopt, unknown_host(host, EAI_AGAIN)};
        lookup_->wait();
    }
    const std::unique_ptr<Lookup> lookup = std::move(lookup_);
    if (error == 0)
        error = lookup->state();
    if (error != 0)
        return {std::nullopt, unknown_host(host, error)};
    return connect_to(*lookup);
}

OpenedLink connect_to_any(const addrinfo* addresses, const std::string& where, const Patience& patience) {
    int error = EHOSTUNREACH, left = 0;
    for (const addrinfo* entry = addresses; entry != nullptr; entry = entry->ai_next)
        ++left;
    const SteadyTime deadline = std::max(patience.deadline, std::chrono::steady_clock::now() + least);
    for (const addrinfo* entry = addresses; entry != nullptr; entry = entry->ai_next, --left) {
        // One that swallows everything must leave time for the others.
        const SteadyTime now = std::chrono::steady_clock::now();
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
            return {std::nullopt, interruption()};
    }
    return {std::nullopt, tcp_trouble(where, error)};
}

std::string tcp_place(const std::string& host, std::uint16_t port) {
    return fmt::format("{} port {}", host, port);
}

LinkTrouble tcp_trouble(const std::string& where, int error) {
    const char* reason = error == 0 ? "closed by the other side" : std::strerror(error);
    switch (error) {
    case ECONNREFUSED:
        return {
            "refused",
            fmt::format("{} refuses the connection: the host is there, but nothing listens on that port. "
                        "Check `tcp_port`, and that Modbus TCP or the serial server is switched on there.",
                        where)};
    case ETIMEDOUT:
        return {"unreachable",
                fmt::format("{} does not answer at all. Check the address, the cable or Wi-Fi, the supply of "
                            "the device, and firewalls on the way.",
                            where)};
    case EHOSTUNREACH:
    case ENETUNREACH:
        return {"unreachable", fmt::format("{} cannot be reached ({}). Check the address and the network of "
                                           "this gateway.",
                                           where, reason)};
    case 0:
    case ECONNRESET:
    case EPIPE:
        return {"closed", fmt::format("{} closed the connection ({}). Many devices allow one client only: is "
                                      "another program connected to it? It is connected again by itself.",
                                      where, reason)};
    default:
        return {"connection", fmt::format("{}: {}.", where, reason)};
    }
}

} // namespace things
