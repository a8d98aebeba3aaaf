// SPDX-License-Identifier: Apache-2.0
#include "support/bus_storm/simulated_link.hpp"

#include <algorithm>

namespace things {

void SimulatedLink::deliver(SteadyTime when, std::vector<std::uint8_t> bytes) {
    if (!bytes.empty())
        arrivals_.emplace(when, std::move(bytes));
}

bool SimulatedLink::withdraw(const std::vector<std::uint8_t>& bytes) {
    return std::erase_if(arrivals_, [&bytes](const auto& arrival) { return arrival.second == bytes; }) > 0;
}

std::optional<LinkTrouble> SimulatedLink::open(const Patience&) {
    open_ = true;
    arrivals_.erase(arrivals_.begin(), arrivals_.lower_bound(now_)); // came when nobody was connected
    return std::nullopt;
}

bool SimulatedLink::send(std::span<const std::uint8_t> bytes, SteadyTime) {
    now_ += std::chrono::microseconds(10);
    heard_.clear();
    far_(*this, {bytes.begin(), bytes.end()});
    return true;
}

ByteLink::Received SimulatedLink::receive(std::span<std::uint8_t> room, SteadyTime deadline,
                                          std::size_t& got) {
    got = 0;
    const SteadyTime next = arrivals_.empty() ? SteadyTime::max() : arrivals_.begin()->first;
    const SteadyTime last = std::max(now_, deadline);
    if (breaks_ <= std::min(next, last)) {
        now_ = std::max(now_, breaks_);
        breaks_ = SteadyTime::max();
        trouble_ = {"closed", "the other side closed the connection"};
        return Received::lost;
    }
    if (next > last) {
        now_ = last;
        return Received::nothing;
    }
    now_ = std::max(now_, next);
    // Everything that is there by now comes in one piece, as from a system's buffer.
    while (!arrivals_.empty() && arrivals_.begin()->first <= now_) {
        auto& bytes = arrivals_.begin()->second;
        const std::size_t part = std::min(bytes.size(), room.size() - got);
        std::copy_n(bytes.begin(), part, room.begin() + static_cast<std::ptrdiff_t>(got));
        got += part;
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
        if (!bytes.empty())
            break;
        arrivals_.erase(arrivals_.begin());
    }
    heard_.insert(heard_.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(got));
    return Received::bytes;
}

} // namespace things
