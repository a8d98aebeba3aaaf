// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_bus.hpp"
#include "support/bus_storm/simulated_link.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

// Devices that do everything wrong that the wire and the protocol allow, and the judge of what the bus makes
// of it. Every four registers say which unit, function and address they are and which request they answer, so
// whatever is mixed up shows. Frames are made and checked by the tests' own code, not by the plugin's.
//   noise  RTU: flipped bits (1e-5 to 1e-2 of them), bytes lost, doubled, added, bursts, echo, break, parity
//   rtu    RTU: answers that are wrong, late (0.5 to 5 timeouts), double, for something else, after a
//   reconnect tcp    the same with transaction numbers and what can be wrong with an MBAP header
namespace things {

class Storm {
public:
    enum class Kind : std::uint8_t { noise, rtu, tcp };
    Storm(Kind kind, std::uint64_t seed);
    void run(std::uint64_t exchanges);
    /// Prints what is asked and played, from this exchange on.
    void tell_from(std::uint64_t exchange) { tell_from_ = exchange; }
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
    /// One JSON object.
    [[nodiscard]] std::string report() const;

private:
    using Buffer = std::vector<std::uint8_t>;
    struct Asked {
        std::uint8_t unit = 0, function = 0;
        std::uint16_t address = 0, count = 0, transaction = 0;
    };

    // the far side
    void serve(SimulatedLink& link, const Buffer& request);
    void answer_noisily(SimulatedLink& link, const Buffer& request, const Asked& asked);
    void answer_badly(SimulatedLink& link, const Asked& asked);
    [[nodiscard]] Buffer pdu_of(const Asked& asked, std::uint32_t number) const;
    [[nodiscard]] Buffer framed(const Asked& asked, Buffer pdu) const;
    [[nodiscard]] Buffer with_noise(const Buffer& frame, bool& changed);
    [[nodiscard]] bool is_forged(const Buffer& bytes, const Buffer& good, const Asked& asked) const;
    void play(SimulatedLink& link, const Asked& asked, SteadyTime at);

    // the near side
    void one_exchange();
    void tell(const std::string& text) const;
    void judge(const BusRequest& request, const Exchange& result, std::uint32_t first_number);

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    [[nodiscard]] double part() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
    [[nodiscard]] bool is_tcp() const { return kind_ == Kind::tcp; }

    Kind kind_;
    std::mt19937_64 random_;
    LinkSettings settings_;
    SimulatedLink* link_ = nullptr;
    std::unique_ptr<ModbusBus> bus_;
    BusTiming timing_;
    double error_rate_ = 0; ///< of bits, on this stretch of the line

    bool is_cut_ = false; ///< the frame before ended too early

    std::uint32_t number_ = 0;             ///< of the last request that a device understood
    std::deque<SteadyTime> served_;        ///< when each was, up to number_
    std::map<unsigned, SteadyTime> busy_;  ///< by unit: does one thing after the other
    std::map<unsigned, Asked> unanswered_; ///< by unit: the last request that was left without an answer

    std::uint64_t exchanges_ = 0, frames_ = 0, spoiled_ = 0, forged_ = 0, good_ = 0, exceptions_ = 0,
                  silent_ = 0, damaged_ = 0, lost_ = 0, too_many_ = 0, stale_ = 0, wrong_ = 0;
    SteadyTime::duration oldest_{0};
    std::array<std::uint64_t, 16> played_{};
    std::string first_wrong_;
    std::uint64_t tell_from_ = UINT64_MAX;
};

} // namespace things
