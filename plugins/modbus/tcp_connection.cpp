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

using Address = TcpConnection::Address;

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

bool is_readable(int fd) {
    pollfd ready{fd, POLLIN, 0};
    return ::poll(&ready, 1, 0) > 0;
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

// getaddrinfo_a works on a thread of the C library, so a name server that does not answer costs no more than
// the deadline.
struct TcpConnection::Lookup {
    std::string host, port;
    addrinfo hints{};
    gaicb request{};
    Lookup(std::string name, std::uint16_t number) : host(std::move(name)), port(std::to_string(number)) {
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICSERV;
        request.ar_name = host.c_str();
        request.ar_service = port.c_str();
        request.ar_request = &hints;
    }
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;
    ~Lookup() {
        if (request.ar_result)
            freeaddrinfo(request.ar_result);
    }
    [[nodiscard]] int begin() {
        if (lookup_blocks)
            return getaddrinfo(host.c_str(), port.c_str(), &hints, &request.ar_result);
        gaicb* list[] = {&request};
        return getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
    }
    [[nodiscard]] bool is_under_way() const {
        return !lookup_blocks && gai_error(const_cast<gaicb*>(&request)) == EAI_INPROGRESS;
    }
    /// In slices, since it knows no wake_fd.
    void wait() const {
        const gaicb* list[] = {&request};
        const timespec slice{0, 50'000'000};
        gai_suspend(list, 1, &slice);
    }
};

TcpConnection::TcpConnection(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {
    socket_ = true;
}

TcpConnection::~TcpConnection() {
    TcpConnection::close();
    if (lookup_ && lookup_->is_under_way() && gai_cancel(&lookup_->request) == EAI_NOTCANCELED)
        static_cast<void>(lookup_.release()); // the library still writes to it
}

// The addresses of the host; `error` is that of getaddrinfo, EAI_INTR if wake_fd ended the wait. A look-up
// cannot be stopped: one that takes too long goes on, and the next call takes its result.
std::vector<TcpConnection::Address> TcpConnection::resolve(SteadyTime deadline, int wake_fd, int& error) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* numeric = nullptr;
    error = getaddrinfo(host_.c_str(), std::to_string(port_).c_str(), &hints, &numeric);
    if (error == 0) {
        std::vector<Address> result = copy(numeric);
        freeaddrinfo(numeric);
        return result;
    }
    error = 0;
    if (!lookup_) {
        lookup_ = std::make_unique<Lookup>(host_, port_);
        error = lookup_->begin();
    }
    while (error == 0 && lookup_->is_under_way()) {
        if (is_readable(wake_fd))
            error = EAI_INTR;
        else if (std::chrono::steady_clock::now() >= deadline)
            error = EAI_AGAIN;
        else
            lookup_->wait();
    }
    if (error == EAI_INTR || error == EAI_AGAIN)
        return {};
    const std::unique_ptr<Lookup> lookup = std::move(lookup_);
    if (error == 0 && !lookup_blocks)
        error = gai_error(&lookup->request);
    return error == 0 ? copy(lookup->request.ar_result) : std::vector<Address>();
}

std::optional<LinkTrouble> TcpConnection::open(SteadyTime deadline, int wake_fd) {
    close();
    int error = 0;
    const std::vector<Address> addresses = resolve(deadline, wake_fd, error);
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
