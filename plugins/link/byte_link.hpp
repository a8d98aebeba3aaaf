// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/serial_port.hpp"
#include "link/stream.hpp"
#include "link/tcp_socket.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

// A link to devices together with the time that passes on it, for a plugin that opens and closes one as it
// goes. ByteLink is the seam: StreamLink is a serial port or a TCP connection in real time, the tests have a
// link with a time of its own. Owned and used by one source's thread; nothing outlives a crash.
namespace things {

/// Invariant: after send() or receive() reported a loss the link stays open until close(); trouble() then
/// holds the reason. No call throws. Every deadline is on now()'s clock.
class ByteLink {
public:
    virtual ~ByteLink();
    ByteLink(const ByteLink&) = delete;
    ByteLink& operator=(const ByteLink&) = delete;

    /// Blocks until the link is open, or patience ends. Nothing: it is open.
    [[nodiscard]] virtual std::optional<LinkTrouble> open(const Patience& patience) = 0;
    /// Harmless on a link that is closed. What was received and not read is lost.
    virtual void close() = 0;
    /// Says nothing of the peer: a cable that was pulled out shows at the next send or receive.
    [[nodiscard]] virtual bool is_open() const = 0;

    /// False if the link is lost; see trouble().
    /// All of `bytes` are with the kernel, not yet on the wire, when this returns true. A deadline that
    /// passes before counts as a loss.
    [[nodiscard]] virtual bool send(std::span<const std::uint8_t> bytes, SteadyTime deadline) = 0;
    /// nothing: the deadline passed, the link is good. lost: the peer closed, the device went, or the system
    /// gave an error.
    enum class Received : std::uint8_t { bytes, nothing, lost };
    /// Waits for bytes until the deadline and reads what there is into `room`; `got` says how many.
    [[nodiscard]] virtual Received receive(std::span<std::uint8_t> room, SteadyTime deadline,
                                           std::size_t& got) = 0;
    [[nodiscard]] virtual SteadyTime now() const;
    /// Nothing interrupts it: for spans of milliseconds only. A time in the past returns at once.
    virtual void sleep_until(SteadyTime when);
    [[nodiscard]] const LinkTrouble& trouble() const { return trouble_; }

protected:
    ByteLink() = default;
    LinkTrouble trouble_;
};

/// Where a link leads: to a serial port, or else to a host.
struct LinkAddress {
    std::string port;
    LineSettings line;
    PortUse use;
    std::string host;
    std::uint16_t tcp_port = 0;
};

class StreamLink final : public ByteLink {
public:
    explicit StreamLink(LinkAddress address) : address_(std::move(address)) {}
    std::optional<LinkTrouble> open(const Patience& patience) override;
    void close() override;
    [[nodiscard]] bool is_open() const override { return stream_.has_value(); }
    [[nodiscard]] bool send(std::span<const std::uint8_t> bytes, SteadyTime deadline) override;
    [[nodiscard]] Received receive(std::span<std::uint8_t> room, SteadyTime deadline,
                                   std::size_t& got) override;

private:
    void lose(int error);

    LinkAddress address_;
    TcpConnector connector_;
    std::optional<Stream> stream_;
};

} // namespace things
