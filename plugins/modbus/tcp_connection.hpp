// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/byte_link.hpp"

#include <cstdint>
#include <string>

// One TCP connection to a Modbus server or serial server, IPv4 or IPv6, by address or name. Own sockets, not
// libmodbus': its connect cannot be interrupted by a command that waits.
namespace things {

class TcpConnection : public DescriptorLink {
public:
    TcpConnection(std::string host, std::uint16_t port);
    ~TcpConnection() override;
    std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) override;
    void close() override;

private:
    [[nodiscard]] LinkTrouble explain(int error) const override;
    std::string host_;
    std::uint16_t port_;
};

} // namespace things
