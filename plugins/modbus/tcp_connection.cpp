// SPDX-License-Identifier: Apache-2.0
#include "modbus/tcp_connection.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace things {

namespace {

#ifdef __SANITIZE_THREAD__
constexpr bool lookup_blocks = true; // this checker crashes on threads that the C library makes for itself
#else
constexpr bool lookup_blocks = false;
#endif

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

// getaddrinfo_a works on a thread of the C library, so a name server that does not answer costs no more than
// the deadline. A query that cannot be cancelled is left behind: the library still writes to it.
struct Query {
    std::string host, port;
    addrinfo hints{};
    gaicb control{};
};

std::vector<Address> copy(const addrinfo* list) {
    std::vector<Address> result;
    for (const addrinfo* item = list; item; item = item->ai_next) {
        Address address;
        address.size = std::min<socklen_t>(item->ai_addrlen, sizeof address.storage);
        std::memcpy(&address.storage, item->ai_addr, address.size);
        result.push_back(address);
    }
    return result;
}

std::vector<Address> give_up(std::unique_ptr<Query> query, int reason, int& error) {
    if (gai_cancel(&query->control) == EAI_NOTCANCELED)
        static_cast<void>(query.release());
    else if (query->control.ar_result) // it came just now
        freeaddrinfo(query->control.ar_result);
    error = reason;
    return {};
}

bool is_readable(int fd) {
    pollfd ready{fd, POLLIN, 0};
    return ::poll(&ready, 1, 0) > 0;
}

// The addresses of a host; `error` is that of getaddrinfo, EAI_INTR if wake_fd ended the wait.
std::vector<Address> resolve(const std::string& host, const std::string& port, SteadyTime deadline,
                             int wake_fd, int& error) {
    auto query = std::make_unique<Query>();
    query->host = host;
    query->port = port;
    query->hints.ai_socktype = SOCK_STREAM;
    query->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    error = getaddrinfo(host.c_str(), port.c_str(), &query->hints, &found);
    if (error != 0 && lookup_blocks) {
        query->hints.ai_flags = AI_NUMERICSERV;
        error = getaddrinfo(host.c_str(), port.c_str(), &query->hints, &found);
    } else if (error != 0) {
        query->hints.ai_flags = AI_NUMERICSERV;
        query->control.ar_name = query->host.c_str();
        query->control.ar_service = query->port.c_str();
        query->control.ar_request = &query->hints;
        gaicb* list[] = {&query->control};
        error = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
        while (error == 0 && gai_error(&query->control) == EAI_INPROGRESS) {
            if (is_readable(wake_fd))
                return give_up(std::move(query), EAI_INTR, error);
            if (std::chrono::steady_clock::now() >= deadline)
                return give_up(std::move(query), EAI_AGAIN, error);
            // In slices, since it knows no wake_fd.
            const timespec slice{0, 50'000'000};
            gai_suspend(list, 1, &slice);
        }
        if (error == 0)
            error = gai_error(&query->control);
        found = error == 0 ? query->control.ar_result : nullptr;
    }
    std::vector<Address> result = copy(found);
    if (found)
        freeaddrinfo(found);
    return result;
}

void set_option(int fd, int level, int name, int value) {
    setsockopt(fd, level, name, &value, sizeof value);
}

// A peer that vanished without a word is noticed after about a minute even if nothing is asked.
void tune(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

// `error` is EINTR if wake_fd ended the wait.
int connect_to(const Address& address, SteadyTime deadline, int wake_fd, int& error) {
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error = errno;
        return -1;
    }
    tune(fd);
    error = connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        if (wait_for(fd, POLLOUT, deadline, wake_fd) != 0) {
            socklen_t size = sizeof error;
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        } else {
            error = std::chrono::steady_clock::now() < deadline ? EINTR : ETIMEDOUT;
        }
    }
    if (error == 0)
        return fd;
    ::close(fd);
    return -1;
}

} // namespace

TcpConnection::TcpConnection(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {
    socket_ = true;
}

TcpConnection::~TcpConnection() {
    TcpConnection::close();
}

std::optional<LinkTrouble> TcpConnection::open(SteadyTime deadline, int wake_fd) {
    close();
    int error = 0;
    const std::vector<Address> addresses = resolve(host_, std::to_string(port_), deadline, wake_fd, error);
    if (error == EAI_INTR)
        return LinkTrouble{"interrupted", "", true};
    if (error != 0)
        return LinkTrouble{"unknown_host",
                           host_ + " has no address (" + gai_strerror(error) +
                               "). Check the name, or give the address itself; check the name "
                               "server of this gateway."};
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        // one address that swallows everything must leave time for the others
        const auto now = std::chrono::steady_clock::now();
        const auto share = (deadline - now) / static_cast<int>(addresses.size() - i);
        fd_ = connect_to(addresses[i], now + share, wake_fd, error);
        if (fd_ >= 0)
            return std::nullopt;
        if (error == EINTR)
            return LinkTrouble{"interrupted", "", true};
    }
    return explain(error);
}

void TcpConnection::close() {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

LinkTrouble TcpConnection::explain(int error) const {
    const std::string place = host_ + " port " + std::to_string(port_);
    const std::string reason = error == 0 ? "closed by the other side" : std::strerror(error);
    switch (error) {
    case ECONNREFUSED:
        return {"refused",
                place +
                    " refuses the connection: the host is there, but no Modbus server listens on that port. "
                    "Check `tcp_port`, and that Modbus TCP is switched on in the device."};
    case ETIMEDOUT:
        return {"unreachable",
                place + " does not answer at all. Check the address, the cable or Wi-Fi, the supply "
                        "of the device, and firewalls on the way."};
    case EHOSTUNREACH:
    case ENETUNREACH:
        return {"unreachable", place + " cannot be reached (" + reason +
                                   "). Check the address and the network of this gateway."};
    case 0:
    case ECONNRESET:
    case EPIPE:
        return {"closed",
                place + " closed the connection (" + reason +
                    "). Many devices allow one client only: is another program connected to it? It is "
                    "connected again by itself."};
    default:
        return {"connection", place + ": " + reason + "."};
    }
}

} // namespace things
