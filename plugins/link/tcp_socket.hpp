// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/stream.hpp"

#include <cstdint>
#include <memory>
#include <string>

struct addrinfo;

// TCP to a device or a serial server (ser2net), IPv4 or IPv6, by address or name, with a deadline on
// everything, name look-up included. A connector belongs to one source and its thread.
namespace things {

/// Connects, and keeps what a look-up that did not end in time still holds. One per source.
/// Invariant: lookup_ is set only while a look-up is under way, which goes on between calls.
class TcpConnector {
public:
    TcpConnector();
    ~TcpConnector(); ///< leaves a look-up that is still under way to the C library (it cannot be stopped)
    TcpConnector(const TcpConnector&) = delete;
    TcpConnector& operator=(const TcpConnector&) = delete;

    /// Tries each address of the host in turn. A dead peer is noticed within about 20 s by keep-alives.
    /// `host` must be the same in every call. A look-up may use up the whole deadline; connecting then still
    /// gets 200 ms.
    [[nodiscard]] OpenedLink connect(const std::string& host, std::uint16_t port, const Patience& patience);

private:
    struct Lookup;
    std::unique_ptr<Lookup> lookup_;
};

/// Tries a list of addresses in turn, each with its fair part of the time left. `where` is what an error
/// calls them.
[[nodiscard]] OpenedLink connect_to_any(const addrinfo* addresses, const std::string& where,
                                        const Patience& patience);
/// "192.0.2.1 port 502".
[[nodiscard]] std::string tcp_place(const std::string& host, std::uint16_t port);
/// What an errno of a socket means; 0: the other side closed it.
[[nodiscard]] LinkTrouble tcp_trouble(const std::string& where, int error);

} // namespace things
