// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/byte_link.hpp"

#include <cstdint>
#include <string>

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
    /// is left to the C library.
    std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) override;
    void close() override;

private:
    [[nodiscard]] LinkTrouble explain(int error) const override;
    std::string host_;
    std::uint16_t port_;
};

} // namespace things
