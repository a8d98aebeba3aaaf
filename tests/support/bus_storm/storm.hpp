// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/modbus_bus.hpp"
#include "support/bus_storm/simulated_link.hpp"
#include "support/bus_storm/storm_frames.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

// Devices that do everything wrong that the wire and the protocol allow, and the judge of what the bus makes
// of it. Every value says where it is from and which request it answers (storm_frames), so whatever is mixed
// up shows.
//   noise   RTU: flipped bits (1e-5 to 1e-2 of them), bytes lost, doubled, added, bursts, echo, break, parity
//   rtu     RTU: answers that are wrong, late (0.5 to 5 timeouts), double, for something else, after the link
//   broke rtutcp  the same over a connection tcp     the same with transaction numbers and what can be wrong
//   with an MBAP header
//   zero, counter, swapped  TCP answers with a number of the device's own: 0, how manieth it is, bytes
//   swapped
// What no receiver can tell from a right answer is not held against the bus but counted as forged: noise that
// makes a checksum good again, frames that are made of two (is_mixture), and answers under another's name or
// to an older question when they come while something else is waited for (these are withdrawn).
namespace things {

class Storm {
public:
    enum class Kind : std::uint8_t { noise, rtu, rtutcp, tcp, zero, counter, swapped };
    Storm(Kind kind, std::uint64_t seed);
    void run(std::uint64_t exchanges);
    /// Prints what is asked and played, from this exchange on.
    void tell_from(std::uint64_t exchange) { tell_from_ = exchange; }
    [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
    /// One JSON object.
    [[nodiscard]] std::string report() const;

private:
    enum class Trick : std::uint8_t {
        crc,
        other_unit,
        other_function,
        exception,
        short_frame,
        long_frame,
        oversized,
        byte_count,
        late,
        previous,
        twice,
        after_reconnect,
        transaction, ///< from here on TCP only
        length,
        coalesced,
        split
    };
    static constexpr std::size_t tricks = 16;
    static constexpr const char* trick_names[tricks] = {
        "checksum",    "other_unit",  "other_function", "exception", "short", "long",
        "oversized",   "byte_count",  "late",           "previous",  "twice", "after_reconnect",
        "transaction", "mbap_length", "coalesced",      "split"};
    static constexpr int latest = 5; ///< timeouts; what comes later than that is beyond the promise
    static constexpr unsigned units = 4;

    // the far side (storm_devices.cpp)
    void serve(SimulatedLink& link, const StormBytes& request);
    void answer_noisily(SimulatedLink& link, const StormBytes& request, const Asked& asked);
    void answer_badly(SimulatedLink& link, const Asked& asked);
    void remember_request(const SimulatedLink& link);
    void remember_frame(const StormBytes& frame);
    void tell_answer(const char* how, const Asked& asked, SteadyTime when) const;
    [[nodiscard]] StormBytes with_noise(const StormBytes& frame, bool& changed);
    void play(SimulatedLink& link, const Asked& asked, const StormBytes& good, SteadyTime at);
    [[nodiscard]] bool is_lie(Trick trick) const;
    [[nodiscard]] SteadyTime delayed(SimulatedLink& link, Trick trick, std::uint8_t unit, SteadyTime at);
    [[nodiscard]] StormBytes spoiled(Trick trick, const Asked& asked, const StormBytes& good);
    [[nodiscard]] StormBytes previous_answer(const Asked& asked, const StormBytes& good) const;
    [[nodiscard]] StormBytes other_transaction(const Asked& asked, std::uint64_t further) const;

    // the near side
    void one_exchange();
    void tell(const std::string& text) const;
    void judge(const BusRequest& request, const Exchange& result, std::uint32_t first_number);
    [[nodiscard]] bool is_mixture() const;

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    [[nodiscard]] double part() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
    [[nodiscard]] bool is_tcp() const { return kind_ >= Kind::tcp; }
    /// Answers bear the number of their request.
    [[nodiscard]] bool is_numbered() const { return kind_ == Kind::tcp; }
    [[nodiscard]] std::uint16_t number_of(std::uint16_t transaction) const;

    Kind kind_;
    std::mt19937_64 random_;
    LinkSettings settings_;
    SimulatedLink* link_ = nullptr;
    std::unique_ptr<ModbusBus> bus_;
    BusTiming timing_;
    double error_rate_ = 0; ///< of bits, on this stretch of the line

    Asked asked_;                  ///< the last request
    StormBytes lie_;               ///< what was sent last under another's name, if it may still be on its way
    std::deque<StormBytes> whole_; ///< frames as they were sent

    std::uint32_t number_ = 0;             ///< of the last request that a device understood
    std::deque<SteadyTime> served_;        ///< when each was, up to number_
    std::map<unsigned, SteadyTime> busy_;  ///< by unit: does one thing after the other
    std::map<unsigned, Asked> unanswered_; ///< by unit: the last request that was left without an answer

    std::uint64_t exchanges_ = 0, frames_ = 0, spoiled_ = 0, forged_ = 0, good_ = 0, exceptions_ = 0,
                  silent_ = 0, damaged_ = 0, lost_ = 0, too_many_ = 0, stale_ = 0, wrong_ = 0;
    SteadyTime::duration oldest_{0};
    std::array<std::uint64_t, tricks> played_{};
    std::string first_wrong_;
    std::uint64_t tell_from_ = UINT64_MAX;
};

} // namespace things
