// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/byte_link.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

// One TCP connection to a Modbus server or serial server, IPv4 or IPv6, by address or name. Own sockets, not
// libmodbus': its connect cannot be interrupted by a command that waits.
namespace things {

/// A peer that vanished without a word is noticed after 30 s of silence and three probes 10 s apart, or when
/// what was sent stays unacknowledged for 30 s.
class TcpConnection : public DescriptorLink {
public:
    TcpConnection(std::string host, std::uint16_t port);
    ~TcpConnection() override;
    /// Looks the name up and tries the addresses in turn, each with its part of the time left. wake_fd ends
    /// the wait for a connection, and within 50 ms that for the name server; a look-up that is not done then
    /// goes on, and the next call takes its result.
    std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) override;
    void close() override;

    struct Address {
        sockaddr_storage storage{};
        socklen_t size = 0;
    };

private:
    [[nodiscard]] LinkTrouble explain(int error) const override;
    [[nodiscard]] std::vector<Address> resolve(SteadyTime deadline, int wake_fd, int& error);
    std::string host_;
    std::uint16_t port_;
    struct Lookup;
    std::unique_ptr<Lookup> lookup_; ///< set only while a look-up is under way, which goes on between calls
};

} // namespace things
