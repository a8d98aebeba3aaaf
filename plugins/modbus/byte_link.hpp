// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

// A stream of bytes to the devices, and the time that passes on it. Owned by the bus, used on the source's
// thread. ByteLink is what the bus needs; DescriptorLink is a serial port or a TCP connection in real time;
// the tests have one with a time of its own.
namespace things {

using SteadyTime = std::chrono::steady_clock::time_point;

/// What is wrong with a link: a stable word, and the whole story for a technician.
/// `code` is a literal; the words are listed in the plugin's README.
struct LinkTrouble {
    const char* code = "";
    std::string text;
    bool is_interruption = false; ///< of open(): wake_fd ended it, nothing is wrong
};

/// Invariant: after send() or receive() reported a loss the link stays open until close(); trouble() then
/// holds the reason. No call throws. Every deadline is on now()'s clock.
class ByteLink {
public:
    virtual ~ByteLink();
    ByteLink(const ByteLink&) = delete;
    ByteLink& operator=(const ByteLink&) = delete;

    /// Opens the link, blocking until `deadline` at the latest or until `wake_fd` becomes readable (-1:
    /// none), which is an interruption. Nothing: it is open.
    [[nodiscard]] virtual std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) = 0;
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
    /// The clock of all deadlines here. CLOCK_MONOTONIC, unless a test brings its own.
    [[nodiscard]] virtual SteadyTime now() const;
    /// Not interrupted by wake_fd: for spans of milliseconds only. A time in the past returns at once.
    virtual void sleep_until(SteadyTime when);
    /// Why send or receive failed.
    [[nodiscard]] const LinkTrouble& trouble() const { return trouble_; }

protected:
    ByteLink() = default;
    LinkTrouble trouble_;
};

/// A link with a file descriptor of the system.
/// The descriptor is non-blocking; every wait is a poll(2). Subclasses set fd_ in open() and reset it to -1
/// in close().
class DescriptorLink : public ByteLink {
public:
    [[nodiscard]] bool is_open() const override { return fd_ >= 0; }
    [[nodiscard]] bool send(std::span<const std::uint8_t> bytes, SteadyTime deadline) override;
    [[nodiscard]] Received receive(std::span<std::uint8_t> room, SteadyTime deadline,
                                   std::size_t& got) override;

protected:
    /// Names the fault behind an errno of this kind of link; 0: the other side closed it.
    [[nodiscard]] virtual LinkTrouble explain(int error) const = 0;
    int fd_ = -1;
    /// Written with MSG_NOSIGNAL, so that a closed peer is an error and no SIGPIPE.
    bool socket_ = false;
};

/// Waits until `fd` has one of `events` (poll.h), `wake_fd` is readable (-1: none) or the deadline is over.
/// Returns the events of `fd`, 0 otherwise.
/// Goes on after EINTR without making the wait longer. POLLERR and POLLHUP are among what it returns.
short wait_for(int fd, short events, SteadyTime deadline, int wake_fd = -1);

} // namespace things
