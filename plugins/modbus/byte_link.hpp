// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

// A stream of bytes to the devices: a serial port or a TCP connection. Owned by the bus, used on the source's
// thread. Every wait has a deadline and ends early when `wake_fd` becomes readable, where that is wanted.
namespace things {

using SteadyTime = std::chrono::steady_clock::time_point;

/// What is wrong with a link: a stable word, and the whole story for a technician.
struct LinkTrouble {
    const char* code = "";
    std::string text;
};

class ByteLink {
public:
    virtual ~ByteLink();
    ByteLink(const ByteLink&) = delete;
    ByteLink& operator=(const ByteLink&) = delete;

    /// Opens the link, blocking until `deadline` at the latest. Nothing: it is open.
    [[nodiscard]] virtual std::optional<LinkTrouble> open(SteadyTime deadline, int wake_fd) = 0;
    virtual void close() = 0;
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }

    /// False if the link is lost; see trouble().
    [[nodiscard]] bool send(std::span<const std::uint8_t> bytes, SteadyTime deadline);
    enum class Received : std::uint8_t { bytes, nothing, lost };
    /// Waits for bytes until the deadline and reads what there is into `room`; `got` says how many.
    [[nodiscard]] Received receive(std::span<std::uint8_t> room, SteadyTime deadline, std::size_t& got);
    /// Why send or receive failed.
    [[nodiscard]] const LinkTrouble& trouble() const { return trouble_; }

protected:
    ByteLink() = default;
    /// Names the fault behind an errno of this kind of link; 0: the other side closed it.
    [[nodiscard]] virtual LinkTrouble explain(int error) const = 0;
    int fd_ = -1;
    bool socket_ = false;

private:
    LinkTrouble trouble_;
};

/// Waits until `fd` has one of `events` (poll.h), `wake_fd` is readable (-1: none) or the deadline is over.
/// Returns the events of `fd`, 0 otherwise.
short wait_for(int fd, short events, SteadyTime deadline, int wake_fd = -1);
void sleep_until(SteadyTime when);

} // namespace things
