// SPDX-License-Identifier: Apache-2.0
#include "link/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::chrono::milliseconds slice{100}; // between looks at interrupted() where there is no wake_fd

LinkResult failed(const char* what) {
    const int error = errno;
    return {LinkOutcome::closed, 0, fmt::format("{}: {}", what, std::strerror(error)), error};
}

} // namespace

std::timespec to_timespec(std::chrono::nanoseconds span) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(span);
    return {static_cast<std::time_t>(whole.count()), static_cast<long>((span - whole).count())};
}

LinkOutcome wait_for(int fd, short events, const Patience& patience) {
    int wake = patience.host != nullptr ? patience.host->wake_fd() : -1;
    for (;;) {
        const bool is_interrupted = patience.is_interrupted();
        auto left = std::max(patience.deadline - std::chrono::steady_clock::now(), SteadyTime::duration(0));
        if (is_interrupted)
            left = SteadyTime::duration(0);
        else if (patience.host != nullptr && wake < 0)
            left = std::min<SteadyTime::duration>(left, slice);
        // To the nanosecond: the silence between two frames on a fast line is less than two milliseconds.
        const std::timespec time = to_timespec(left);
        pollfd descriptors[2] = {{fd, events, 0}, {wake, POLLIN, 0}}; // a negative one is ignored by poll
        const int ready = ::ppoll(descriptors, wake < 0 ? 1 : 2, &time, nullptr);
        if (ready < 0 && errno != EINTR)
            return LinkOutcome::closed;
        if (ready > 0 && descriptors[0].revents != 0)
            return LinkOutcome::done;
        if (is_interrupted)
            return LinkOutcome::interrupted;
        if (ready > 0 && descriptors[1].revents != 0 && !patience.is_interrupted())
            wake = -1; // woken for nothing, or its other end is gone: do not spin on it
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return LinkOutcome::timeout;
    }
}

SteadyTime link_time(std::int64_t monotonic_ms) {
    return SteadyTime(std::chrono::milliseconds(monotonic_ms));
}

bool Patience::is_interrupted() const {
    return host != nullptr && host->interrupted();
}

std::size_t ParityMarks::take(std::span<const std::uint8_t> marked, std::span<std::uint8_t> into,
                              std::size_t& written, bool& damaged) {
    written = 0;
    damaged = false;
    std::size_t used = 0;
    while (used < marked.size() && written < into.size()) {
        std::uint8_t byte = marked[used++];
        if (state_ == State::error) { // the damaged character itself; 00 for a break
            state_ = State::plain;
            damaged = true;
            return used;
        }
        if (state_ == State::mark) {
            state_ = State::plain;
            if (byte == 0)
                state_ = State::error;
            else
                into[written++] = byte; // FF FF; any other pair cannot come, its byte is kept
        } else if (byte == 0xff) {
            state_ = State::mark;
        } else {
            into[written++] = byte;
        }
    }
    return used;
}

Stream::Stream(int fd, Kind kind, bool marked) : fd_(fd), kind_(kind), marked_(marked) {}

Stream::Stream(Stream&& other) noexcept {
    *this = std::move(other);
}

Stream& Stream::operator=(Stream&& other) noexcept {
    if (this == &other)
        return *this;
    close();
    fd_ = std::exchange(other.fd_, -1);
    kind_ = other.kind_;
    marked_ = other.marked_;
    marks_ = other.marks_;
    damage_due_ = other.damage_due_;
    std::copy(other.pending_ + other.pending_begin_, other.pending_ + other.pending_end_, pending_);
    pending_begin_ = 0;
    pending_end_ = other.pending_end_ - other.pending_begin_;
    return *this;
}

Stream::~Stream() {
    close();
}

void Stream::close() {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

LinkOutcome wait_idle(const Patience& patience) {
    return wait_for(-1, 0, patience);
}

LinkResult Stream::take_pending(std::span<std::uint8_t> into) {
    LinkResult result;
    while (pending_begin_ < pending_end_ && result.count == 0 && !damage_due_)
        pending_begin_ += marks_.take({pending_ + pending_begin_, pending_end_ - pending_begin_}, into,
                                      result.count, damage_due_);
    if (result.count == 0 &&
        std::exchange(damage_due_, false)) // the good bytes before it were handed out first
        result.outcome = LinkOutcome::damaged;
    return result;
}

LinkResult Stream::read(std::span<std::uint8_t> into, const Patience& patience) {
    for (;;) {
        LinkResult kept = take_pending(into);
        if (kept.count > 0 || kept.outcome != LinkOutcome::done)
            return kept;
        LinkOutcome outcome = wait_for(fd_, POLLIN, patience);
        if (outcome == LinkOutcome::closed)
            return failed("waiting for bytes failed");
        if (outcome != LinkOutcome::done)
            return {outcome, 0, {}};
        std::span<std::uint8_t> target = marked_ ? std::span<std::uint8_t>(pending_) : into;
        ssize_t count = ::read(fd_, target.data(), target.size());
        if (count > 0 && !marked_)
            return {LinkOutcome::done, static_cast<std::size_t>(count), {}};
        if (count > 0) {
            pending_begin_ = 0;
            pending_end_ = static_cast<std::size_t>(count);
            continue;
        }
        // A terminal that hung up reads as 0 bytes, like a socket that was closed.
        if (count == 0)
            return {LinkOutcome::closed, 0,
                    kind_ == Kind::socket ? "the other side closed the connection"
                                          : "the port hung up (unplugged?)"};
        if (errno != EAGAIN && errno != EINTR)
            return failed("reading failed");
    }
}

LinkResult Stream::write(std::span<const std::uint8_t> bytes, const Patience& patience) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        ssize_t count = kind_ == Kind::socket
                            ? ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL)
                            : ::write(fd_, bytes.data() + sent, bytes.size() - sent);
        if (count > 0) {
            sent += static_cast<std::size_t>(count);
            continue;
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            LinkResult result = failed("writing failed");
            result.count = sent;
            return result;
        }
        LinkOutcome outcome = wait_for(fd_, POLLOUT, patience);
        if (outcome != LinkOutcome::done)
            return {outcome, sent, {}};
    }
    return {LinkOutcome::done, sent, {}};
}

LinkResult Stream::drain(const Patience& patience) {
    if (kind_ == Kind::socket)
        return {};
    for (;;) {
        int left = 0;
        if (::ioctl(fd_, TIOCOUTQ, &left) != 0 || left == 0)
            break;
        if (patience.is_interrupted())
            return {LinkOutcome::interrupted, 0, {}};
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return {LinkOutcome::timeout, 0, {}};
        // No descriptor says when the last byte has left.
        ::poll(nullptr, 0, 2);
    }
#ifdef TIOCSERGETLSR // the driver's queue is empty; the shift register of a real UART may not be
    for (int line = 0; ::ioctl(fd_, TIOCSERGETLSR, &line) == 0 && (line & TIOCSER_TEMT) == 0;) {
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return {LinkOutcome::timeout, 0, {}};
        ::poll(nullptr, 0, 1);
    }
#endif
    return {};
}

void Stream::discard_input() {
    pending_begin_ = pending_end_ = 0;
    damage_due_ = false;
    marks_ = {};
    if (kind_ == Kind::serial) {
        ::tcflush(fd_, TCIFLUSH);
        return;
    }
    for (int round = 0; round < 256; ++round) // bounded: a peer that never stops must not hold us here
        if (::recv(fd_, pending_, sizeof pending_, MSG_DONTWAIT) <= 0)
            return;
}

void Stream::set_marked(bool marked) {
    marked_ = marked;
    marks_ = {};
}

} // namespace things
