// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/byte_link.hpp"

#include <functional>
#include <map>
#include <vector>

// A link without a system behind it: time stands still until somebody waits, so that an hour on the wire
// takes a second. What the other side does with what is sent is the test's. One thread.
namespace things {

class SimulatedLink final : public ByteLink {
public:
    /// Called with everything that is sent, at the time of the link.
    using Far = std::function<void(SimulatedLink&, const std::vector<std::uint8_t>&)>;
    explicit SimulatedLink(Far far) : far_(std::move(far)) {}

    /// Bytes that arrive at this time, unless the link is not open by then.
    void deliver(SteadyTime when, std::vector<std::uint8_t> bytes);
    /// Takes back what is still to arrive. False: it has arrived already.
    bool withdraw(const std::vector<std::uint8_t>& bytes);
    /// What arrived since something was sent.
    [[nodiscard]] const std::vector<std::uint8_t>& heard() const { return heard_; }
    /// The other side breaks the connection at this time.
    void break_at(SteadyTime when) { breaks_ = when; }

    [[nodiscard]] std::optional<LinkTrouble> open(const Patience& patience) override;
    void close() override { open_ = false; }
    [[nodiscard]] bool is_open() const override { return open_; }
    [[nodiscard]] bool send(std::span<const std::uint8_t> bytes, SteadyTime deadline) override;
    [[nodiscard]] Received receive(std::span<std::uint8_t> room, SteadyTime deadline,
                                   std::size_t& got) override;
    [[nodiscard]] SteadyTime now() const override { return now_; }
    void sleep_until(SteadyTime when) override { now_ = std::max(now_, when); }

private:
    Far far_;
    bool open_ = false;
    SteadyTime now_{std::chrono::hours(1)};
    SteadyTime breaks_ = SteadyTime::max();
    std::multimap<SteadyTime, std::vector<std::uint8_t>> arrivals_;
    std::vector<std::uint8_t> heard_;
};

} // namespace things
