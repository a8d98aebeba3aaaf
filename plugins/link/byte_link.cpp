// SPDX-License-Identifier: Apache-2.0
#include "link/byte_link.hpp"

#include <cerrno>
#include <ctime>

namespace things {

ByteLink::~ByteLink() = default;

SteadyTime ByteLink::now() const {
    return std::chrono::steady_clock::now();
}

void ByteLink::sleep_until(SteadyTime when) {
    const timespec absolute = to_timespec(when.time_since_epoch());
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &absolute, nullptr) == EINTR)
        continue;
}

std::optional<LinkTrouble> StreamLink::open(const Patience& patience) {
    close();
    OpenedLink opened = address_.port.empty() ? connector_.connect(address_.host, address_.tcp_port, patience)
                                              : open_serial(address_.port, address_.line, address_.use);
    stream_ = std::move(opened.stream);
    return stream_ ? std::nullopt : std::optional(std::move(opened.trouble));
}

void StreamLink::close() {
    stream_.reset();
}

bool StreamLink::send(std::span<const std::uint8_t> bytes, SteadyTime deadline) {
    const LinkResult result = stream_->write(bytes, {deadline, nullptr});
    if (result.outcome == LinkOutcome::done)
        return true;
    lose(result.outcome == LinkOutcome::timeout ? ETIMEDOUT : result.fault);
    return false;
}

ByteLink::Received StreamLink::receive(std::span<std::uint8_t> room, SteadyTime deadline, std::size_t& got) {
    const LinkResult result = stream_->read(room, {deadline, nullptr});
    got = result.count;
    switch (result.outcome) {
    case LinkOutcome::done:
        return Received::bytes;
    case LinkOutcome::timeout:
    case LinkOutcome::interrupted: // never: nobody was named who could
    case LinkOutcome::damaged:     // a checksum tells; the port marks nothing for it
        return Received::nothing;
    case LinkOutcome::closed:
        break;
    }
    lose(result.fault);
    return Received::lost;
}

void StreamLink::lose(int error) {
    trouble_ = address_.port.empty() ? tcp_trouble(tcp_place(address_.host, address_.tcp_port), error)
                                     : serial_trouble(address_.port, address_.line, error);
}

} // namespace things
