// SPDX-License-Identifier: Apache-2.0
#include "support/bus_storm/storm.hpp"

#include <algorithm>
#include <cmath>

// The far side of the storm: what the devices do.
namespace things {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t longest_memory = 100000;   // requests whose time is known
constexpr std::size_t most_on_their_way = 20000; // frames; more than come within five timeouts

} // namespace

void Storm::serve(SimulatedLink& link, const StormBytes& request) {
    ++frames_;
    const std::size_t head = is_tcp() ? 6 : 0;
    Asked asked{request[head], request[head + 1], storm_word(request, head + 2),
                storm_word(request, head + 4),
                is_tcp() ? number_of(storm_word(request, 0)) : std::uint16_t{0}};
    if (kind_ == Kind::noise)
        answer_noisily(link, request, asked);
    else
        answer_badly(link, asked);
    asked_ = asked;
}

std::uint16_t Storm::number_of(std::uint16_t transaction) const {
    switch (kind_) {
    case Kind::zero:
        return 0;
    case Kind::counter:
        return static_cast<std::uint16_t>(frames_);
    case Kind::swapped:
        return static_cast<std::uint16_t>(transaction >> 8 | transaction << 8);
    default:
        return transaction;
    }
}

// Bits flip at the rate of this stretch of the line, and one frame in fifty meets something worse.
StormBytes Storm::with_noise(const StormBytes& frame, bool& changed) {
    StormBytes bytes = frame;
    const double bits = static_cast<double>(8 * bytes.size());
    for (double at = std::log(1 - part()) / std::log1p(-error_rate_); at < bits;
         at += 1 + std::floor(std::log(1 - part()) / std::log1p(-error_rate_)))
        bytes[static_cast<std::size_t>(at) / 8] ^=
            static_cast<std::uint8_t>(1U << static_cast<std::size_t>(at) % 8);
    if (below(50) == 0) {
        const std::size_t where = below(bytes.size());
        const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(where);
        switch (below(6)) {
        case 0:
            bytes.erase(at);
            break;
        case 1:
            bytes.insert(at, bytes[where]);
            break;
        case 2:
            bytes.insert(at, static_cast<std::uint8_t>(random_()));
            break;
        case 3: // a break
            bytes.insert(at, 0);
            break;
        case 4: // parity: the character is thrown away or comes with its top bit wrong
            bytes[where] ^= 0x80;
            break;
        default: // a burst
            for (std::size_t i = where; i < std::min(where + 1 + below(8), bytes.size()); ++i)
                bytes[i] = static_cast<std::uint8_t>(random_());
        }
    }
    changed = bytes != frame;
    return bytes;
}

void Storm::answer_noisily(SimulatedLink& link, const StormBytes& request, const Asked& asked) {
    const nanoseconds character(86806);
    const SteadyTime end = link.now() + character * static_cast<int>(request.size());
    const bool echoes = below(200) == 0;
    if (echoes)
        link.deliver(end, request);
    if (below(100) == 0) { // a burst between the frames
        StormBytes burst(1 + below(40));
        for (std::uint8_t& byte : burst)
            byte = static_cast<std::uint8_t>(random_());
        link.deliver(end + milliseconds(1), burst);
    }
    bool changed = false;
    static_cast<void>(with_noise(request, changed));
    if (changed) {
        ++spoiled_;
        return; // the device says nothing to a request with a bad checksum
    }
    remember_request(link);
    const StormBytes good = storm_frame(asked, storm_pdu(asked, ++number_), is_tcp());
    StormBytes bytes = with_noise(good, changed);
    while (changed && is_forged(bytes, good, asked)) {
        ++forged_;
        bytes = with_noise(good, changed);
    }
    spoiled_ += changed ? 1 : 0;
    SteadyTime at = end + milliseconds(2 + static_cast<int>(below(4)));
    for (const std::uint8_t byte : bytes)
        link.deliver(at += character, {byte});
}

void Storm::answer_badly(SimulatedLink& link, const Asked& asked) {
    remember_request(link);
    ++number_;
    SteadyTime& busy = busy_[asked.unit];
    const nanoseconds on_the_wire(settings_.serial ? 700000 : 0); // the request
    const SteadyTime at = std::max(link.now() + on_the_wire + nanoseconds(500000 + below(2000000)), busy);
    busy = at;
    const StormBytes good = storm_frame(asked, storm_pdu(asked, number_), is_tcp());
    remember_frame(good);
    if (below(10) < 3)
        return play(link, asked, good, at);
    tell_answer("good", asked, at);
    link.deliver(at, good);
    unanswered_.erase(asked.unit);
}

void Storm::remember_request(const SimulatedLink& link) {
    served_.push_back(link.now());
    if (served_.size() > longest_memory)
        served_.pop_front();
}

void Storm::remember_frame(const StormBytes& frame) {
    whole_.push_back(frame);
    if (whole_.size() > most_on_their_way)
        whole_.pop_front();
}

void Storm::tell_answer(const char* how, const Asked& asked, SteadyTime when) const {
    if (exchanges_ < tell_from_)
        return;
    tell("unit " + std::to_string(asked.unit) + " function " + std::to_string(asked.function) + " address " +
         std::to_string(asked.address) + " count " + std::to_string(asked.count) + " number " +
         std::to_string(number_) + ": " + how + " at " +
         std::to_string(std::chrono::duration<double>(when.time_since_epoch()).count()));
}

// What a unit does instead of answering properly: three times in ten, and one of everything.
void Storm::play(SimulatedLink& link, const Asked& asked, const StormBytes& good, SteadyTime at) {
    auto trick =
        static_cast<Trick>(below(is_numbered() ? tricks : static_cast<std::size_t>(Trick::transaction)));
    // A lie that comes while something else is waited for would be the true answer to that, byte for byte.
    if (is_lie(trick) && at >= link.now() + timing_.patience)
        trick = Trick::byte_count;
    ++played_[static_cast<std::size_t>(trick)];
    ++spoiled_;
    const StormBytes bytes = spoiled(trick, asked, good);
    if (is_lie(trick))
        lie_ = bytes;
    at = delayed(link, trick, asked.unit, at);
    tell_answer(trick_names[static_cast<std::size_t>(trick)], asked, at);
    if (trick != Trick::late && trick != Trick::after_reconnect && trick != Trick::twice)
        unanswered_[asked.unit] = asked;
    if (trick != Trick::split) {
        remember_frame(bytes);
        return link.deliver(at, bytes);
    }
    for (const std::uint8_t byte : bytes)
        link.deliver(at += nanoseconds(1), {byte});
    busy_[asked.unit] = at; // what follows does not come in between
}

bool Storm::is_lie(Trick trick) const {
    return !is_numbered() &&
           (trick == Trick::other_unit || trick == Trick::other_function || trick == Trick::previous);
}

// When it comes: late is after half a timeout up to five, behind what the unit still has to say.
SteadyTime Storm::delayed(SimulatedLink& link, Trick trick, std::uint8_t unit, SteadyTime at) {
    const nanoseconds timeout = timing_.timeout;
    const auto some_of = [this](nanoseconds span) {
        return nanoseconds(below(static_cast<std::uint64_t>(span.count())));
    };
    nanoseconds delay{0};
    if (trick == Trick::late)
        delay = timeout / 2 + some_of(9 * timeout / 2);
    else if (trick == Trick::after_reconnect) {
        link.break_at(link.now() + some_of(timeout));
        delay = some_of(latest * timeout);
    } else
        return at;
    return busy_[unit] = std::min(std::max(link.now() + delay, at), link.now() + latest * timeout);
}

// What comes.
StormBytes Storm::spoiled(Trick trick, const Asked& asked, const StormBytes& good) {
    StormBytes bytes = good, pdu = storm_pdu(asked, number_);
    Asked other = asked;
    switch (trick) {
    case Trick::crc: // TCP has none: there a bit of the function
        bytes[is_tcp() ? 7 : below(bytes.size())] ^= 0x10;
        return bytes;
    case Trick::other_unit:
        other.unit = static_cast<std::uint8_t>(asked.unit % units + 1 + units * below(2));
        return storm_frame(other, pdu, is_tcp());
    case Trick::other_function:
        pdu[0] = static_cast<std::uint8_t>(1 + pdu[0] % 6);
        break;
    case Trick::exception:
        pdu = {static_cast<std::uint8_t>(asked.function | 0x80), static_cast<std::uint8_t>(1 + below(11))};
        break;
    case Trick::short_frame:
        if (below(2) == 0)
            return {good.begin(), good.end() - 1 - static_cast<std::ptrdiff_t>(below(4))};
        pdu.resize(1 + below(pdu.size() - 1));
        break;
    case Trick::long_frame:
        pdu.insert(pdu.end(), 1 + below(6), 0x55);
        break;
    case Trick::oversized:
        pdu.resize(300 + below(600), 0xAA);
        break;
    case Trick::byte_count:
        pdu[1] = static_cast<std::uint8_t>(pdu[1] + (below(2) == 0 ? 2 : 254));
        break;
    case Trick::previous:
        return previous_answer(asked, good);
    case Trick::twice:
        bytes.insert(bytes.end(), good.begin(), good.end());
        return bytes;
    case Trick::transaction:
        return other_transaction(asked, 1 + below(65535));
    case Trick::length:
        bytes[4] = bytes[5] = below(2) == 0 ? 0 : 255;
        return bytes;
    case Trick::coalesced:
        bytes = other_transaction(asked, 65535);
        bytes.insert(bytes.end(), good.begin(), good.end());
        return bytes;
    case Trick::late:
    case Trick::after_reconnect:
    case Trick::split:
        return bytes;
    }
    return storm_frame(asked, pdu, is_tcp());
}

// The answer to what was asked before. In RTU frames one to a question that looks the same cannot be told
// from the right one by anybody.
StormBytes Storm::previous_answer(const Asked& asked, const StormBytes& good) const {
    const auto before = unanswered_.find(asked.unit);
    if (before == unanswered_.end() ||
        (!is_numbered() && before->second.count == asked.count && before->second.function == asked.function))
        return good;
    return storm_frame(before->second, storm_pdu(before->second, number_), is_tcp());
}

StormBytes Storm::other_transaction(const Asked& asked, std::uint64_t further) const {
    Asked other = asked;
    other.transaction = static_cast<std::uint16_t>(asked.transaction + further);
    other.address = static_cast<std::uint16_t>(asked.address + 1);
    return storm_frame(other, storm_pdu(other, number_), is_tcp());
}

} // namespace things
