// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

/// Listens on an address of the loopback and accepts nobody: what tries to connect then gets no answer at
/// all, as from a host that is switched off.
class FullServer {
public:
    explicit FullServer(const char* address = "127.0.0.1") : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        address_.sin_family = AF_INET;
        REQUIRE(::inet_pton(AF_INET, address, &address_.sin_addr) == 1);
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address_), sizeof address_) == 0);
        const timeval patience{20, 0}; // of accept
        ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        REQUIRE(::listen(listener_, 0) == 0);
        socklen_t size = sizeof address_;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size);
        while (fill()) {
        }
    }
    ~FullServer() {
        for (const int client : clients_)
            ::close(client);
        ::close(listener_);
    }
    FullServer(const FullServer&) = delete;
    FullServer& operator=(const FullServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return ntohs(address_.sin_port); }
    [[nodiscard]] const sockaddr_in& address() const { return address_; }
    /// Room for one more connection.
    void accept_one() { clients_.push_back(::accept(listener_, nullptr, nullptr)); }

private:
    /// False: this one got no answer.
    bool fill() {
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        clients_.push_back(client);
        (void)::connect(client, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
        pollfd ready{client, POLLOUT, 0};
        return ::poll(&ready, 1, 200) > 0;
    }
    sockaddr_in address_{};
    int listener_;
    std::vector<int> clients_;
};

} // namespace things
