// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "things_plugin.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>

// A connection to a device: a serial port or a TCP socket, read and written with a deadline. Owned and used
// by one source's thread. Every wait ends at its deadline, and early when the host wants the thread back
// (wake_fd, interrupted()). Nothing throws; what went wrong is in `error`, for a technician. After a crash
// the descriptor is gone with the process; the port's settings stay until somebody opens it again.
namespace things {

using SteadyTime = std::chrono::steady_clock::time_point; ///< CLOCK_MONOTONIC, like the deadlines of the host

/// The deadline of a call from the host as a time point.
[[nodiscard]] SteadyTime link_time(std::int64_t monotonic_ms);

/// How long a wait may last, and who may end it early. The host (may be null in tests) outlives the wait.
struct Patience {
    SteadyTime deadline;
    const PluginHost* host = nullptr;
    [[nodiscard]] bool is_interrupted() const;
};

[[nodiscard]] std::timespec to_timespec(std::chrono::nanoseconds span);

enum class LinkOutcome : std::uint8_t {
    done,        ///< read: at least one byte; write: all of them
    timeout,     ///< the deadline passed
    interrupted, ///< the host wants the thread back
    damaged,     ///< a character came with a parity or framing error, or a break, at this place of the stream
    closed       ///< unplugged, closed by the peer, or failed; `error` says what. Close it and open it again.
};

/// `count` counts bytes also where a write ended early.
struct LinkResult {
    LinkOutcome outcome = LinkOutcome::done;
    std::size_t count = 0; ///< bytes read or written
    std::string error;
    int fault = 0; ///< errno of `closed`; 0: the other side hung up
};

/// What is wrong with a link: a stable word, and the whole story for a technician.
/// `code` is a literal; the words are listed in the README of the modbus plugin.
struct LinkTrouble {
    const char* code = "";
    std::string text;
    bool is_interruption = false; ///< the host wants the thread back, nothing is wrong
};

/// Takes apart what PARMRK puts between the bytes: FF FF is a byte FF, FF 00 x is a damaged character x.
/// Pure; keeps what a piece left open, so that the pieces may be cut anywhere.
class ParityMarks {
public:
    /// Moves bytes from `marked` to `into` up to the first damaged character. Returns how many of `marked`
    /// were used; `written` says how many bytes came out, `damaged` whether it stopped after a damaged
    /// character.
    std::size_t take(std::span<const std::uint8_t> marked, std::span<std::uint8_t> into, std::size_t& written,
                     bool& damaged);

private:
    enum class State : std::uint8_t { plain, mark, error };
    State state_ = State::plain;
};

/// Invariant: pending_ holds raw bytes only while `marked`, damage_due_ comes before them.
class Stream {
public:
    enum class Kind : std::uint8_t { serial, socket };

    /// Owns the descriptor, which must be non-blocking. `marked`: PARMRK is on (serial ports with parity).
    Stream(int fd, Kind kind, bool marked);
    Stream(Stream&& other) noexcept;
    Stream& operator=(Stream&& other) noexcept;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream();

    /// Waits until at least one byte is there, and takes what there is.
    /// Bytes that are there are handed out before an interruption is told.
    /// Up to the first damaged character; the next call tells that.
    [[nodiscard]] LinkResult read(std::span<std::uint8_t> into, const Patience& patience);
    /// Hands all of `bytes` to the kernel.
    /// A deadline may leave part of them sent.
    [[nodiscard]] LinkResult write(std::span<const std::uint8_t> bytes, const Patience& patience);
    /// Waits until the last written bit has left a serial port (tcdrain has no deadline, so it is asked for
    /// by and by). A socket is done at once.
    [[nodiscard]] LinkResult drain(const Patience& patience);
    /// Throws away what came in and was not read.
    /// Of a socket at most 256 reads, since a peer that sends without end must not hold the thread.
    void discard_input();
    /// After the line settings changed: parity marks are now expected or not.
    void set_marked(bool marked);
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] Kind kind() const { return kind_; }

private:
    LinkResult take_pending(std::span<std::uint8_t> into);
    void close();

    int fd_ = -1;
    Kind kind_ = Kind::serial;
    bool marked_ = false;
    ParityMarks marks_;
    bool damage_due_ = false;      ///< a damaged character is to be told before more bytes
    std::uint8_t pending_[4096]{}; ///< raw bytes not yet taken apart, when marked
    std::size_t pending_begin_ = 0, pending_end_ = 0;
};

/// Waits for one of `events` (poll.h) of the descriptor: done, timeout, interrupted, or closed with an errno.
/// What the descriptor has comes before an interruption, so that a busy line never starves; -1: none.
/// Looks at interrupted() every 100 ms where the host has no wake_fd.
[[nodiscard]] LinkOutcome wait_for(int fd, short events, const Patience& patience);
/// Waits without reading anything: timeout, or interrupted.
[[nodiscard]] LinkOutcome wait_idle(const Patience& patience);

/// A stream, or why there is none.
struct OpenedLink {
    std::optional<Stream> stream;
    LinkTrouble trouble;
};

} // namespace things
