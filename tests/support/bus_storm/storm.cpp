// SPDX-License-Identifier: Apache-2.0
#include "support/bus_storm/storm.hpp"

#include "support/tcp_device.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace things {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t longest_memory = 100000; // requests whose time is known
constexpr int latest = 5;                      // timeouts; what comes later than that is beyond the promise
constexpr unsigned units = 4, places = 6, groups = 3;

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
    transaction,
    length,
    coalesced,
    split
};
constexpr std::size_t tricks = 16;
constexpr const char* trick_names[tricks] = {
    "checksum",    "other_unit",  "other_function", "exception", "short", "long",
    "oversized",   "byte_count",  "late",           "previous",  "twice", "after_reconnect",
    "transaction", "mbap_length", "coalesced",      "split"};

std::uint16_t word(const std::vector<std::uint8_t>& bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool holds_crc(const std::uint8_t* bytes, std::size_t size) {
    const std::uint16_t crc = slow_crc({bytes, bytes + size - 2});
    return bytes[size - 2] == crc % 256 && bytes[size - 1] == crc / 256;
}

bool reads_bits(std::uint8_t function) {
    return function <= 2;
}

} // namespace

Storm::Storm(Kind kind, std::uint64_t seed) : kind_(kind), random_(seed) {
    settings_.serial = kind == Kind::noise;
    settings_.rtu_framing = kind != Kind::tcp;
    settings_.frame.baud = 115200;
    auto link = std::make_unique<SimulatedLink>(
        [this](SimulatedLink& far, const Buffer& request) { serve(far, request); });
    link_ = link.get();
    bus_ = std::make_unique<ModbusBus>(settings_, std::move(link), -1);
}

void Storm::run(std::uint64_t exchanges) {
    for (std::uint64_t i = 0; i < exchanges; ++i) {
        if (i % 1000 == 0) {
            link_->sleep_until(link_->now() +
                               (latest + 1) * timing_.timeout); // nothing is on its way any more
            error_rate_ = std::pow(10.0, -2 - 3 * part());
            timing_.timeout = milliseconds(std::array{20, 100, 1000}[below(3)]);
        }
        one_exchange();
    }
}

void Storm::one_exchange() {
    ++exchanges_;
    BusRequest request;
    request.unit = static_cast<std::uint8_t>(1 + below(units));
    request.function = static_cast<std::uint8_t>(1 + below(4));
    const unsigned scale = reads_bits(request.function) ? 16 : 1; // four words are 64 bits
    request.address = static_cast<std::uint16_t>(4 * groups * below(places) * scale);
    request.count = static_cast<std::uint16_t>(4 * (1 + below(groups)) * scale);
    timing_.retries = static_cast<int>(below(3));
    timing_.silent_retries = static_cast<int>(below(static_cast<std::uint64_t>(timing_.retries) + 1));
    timing_.patience = timing_.timeout / (below(8) == 0 ? 4 : 1);
    while (bus_->open())
        link_->sleep_until(link_->now() + milliseconds(100));
    const std::uint32_t first_number = number_ + 1;
    const std::uint64_t before = frames_;
    tell("exchange " + std::to_string(exchanges_) + ", " + std::to_string(timing_.timeout.count()) + " ms");
    const Exchange result = bus_->exchange(request, timing_);
    tell("result " + std::to_string(static_cast<int>(result.status)));
    too_many_ += frames_ - before > static_cast<std::uint64_t>(timing_.retries) + 1 ? 1 : 0;
    judge(request, result, first_number);
    if (below(3) == 0) // the line rests
        link_->sleep_until(link_->now() +
                           nanoseconds(below(2 * static_cast<std::uint64_t>(
                                                     std::chrono::nanoseconds(timing_.timeout).count()))));
}

void Storm::tell(const std::string& text) const {
    if (exchanges_ >= tell_from_)
        std::printf("%.6f %s\n", std::chrono::duration<double>(link_->now().time_since_epoch()).count(),
                    text.c_str());
}

void Storm::judge(const BusRequest& request, const Exchange& result, std::uint32_t first_number) {
    switch (result.status) {
    case Exchange::Status::answered:
        break;
    case Exchange::Status::exception:
        ++exceptions_;
        return;
    case Exchange::Status::silent:
        ++silent_;
        return;
    case Exchange::Status::damaged:
        ++damaged_;
        return;
    case Exchange::Status::lost:
        ++lost_;
        return;
    }
    ++good_;
    std::vector<std::uint16_t> words = result.words;
    if (reads_bits(request.function)) {
        words.assign(result.words.size() / 16, 0);
        for (std::size_t i = 0; i < result.words.size(); ++i)
            words[i / 16] = static_cast<std::uint16_t>(words[i / 16] | result.words[i] << i % 16);
    }
    const unsigned scale = reads_bits(request.function) ? 16 : 1;
    const std::uint32_t number = static_cast<std::uint32_t>(words.at(2) << 16 | words.at(3));
    bool well = words.size() * scale == request.count && number > 0 && number <= number_;
    for (std::size_t i = 0; i + 3 < words.size(); i += 4)
        well = well && words[i] == (request.unit << 8 | request.function) &&
               words[i + 1] == request.address / scale + i &&
               static_cast<std::uint32_t>(words[i + 2] << 16 | words[i + 3]) == number;
    if (well && number < first_number) { // the answer to the same question, asked before
        ++stale_;
        const std::size_t back = number_ - number;
        const auto age = back < served_.size() ? link_->now() - served_[served_.size() - 1 - back]
                                               : SteadyTime::duration::max();
        oldest_ = std::max(oldest_, age);
        well = !is_tcp() && age <= (latest + 1) * timing_.timeout;
    }
    if (well)
        return;
    ++wrong_;
    if (first_wrong_.empty())
        first_wrong_ = "exchange " + std::to_string(exchanges_) + ": unit " + std::to_string(request.unit) +
                       " function " + std::to_string(request.function) + " address " +
                       std::to_string(request.address) + " gave unit and function " +
                       std::to_string(words[0]) + " address " + std::to_string(words[1]) + " of request " +
                       std::to_string(number) + ", asked as " + std::to_string(first_number);
}

void Storm::serve(SimulatedLink& link, const Buffer& request) {
    ++frames_;
    const std::size_t head = is_tcp() ? 6 : 0;
    Asked asked{request[head], request[head + 1], word(request, head + 2), word(request, head + 4),
                is_tcp() ? word(request, 0) : std::uint16_t{0}};
    if (kind_ == Kind::noise)
        answer_noisily(link, request, asked);
    else
        answer_badly(link, asked);
}

// Function and data: four registers a group, or the same as bits.
Storm::Buffer Storm::pdu_of(const Asked& asked, std::uint32_t number) const {
    const unsigned scale = reads_bits(asked.function) ? 16 : 1;
    std::vector<std::uint16_t> words;
    for (unsigned i = 0; i < asked.count / scale; i += 4) {
        words.push_back(static_cast<std::uint16_t>(asked.unit << 8 | asked.function));
        words.push_back(static_cast<std::uint16_t>(asked.address / scale + i));
        words.push_back(static_cast<std::uint16_t>(number >> 16));
        words.push_back(static_cast<std::uint16_t>(number));
    }
    Buffer pdu{asked.function, static_cast<std::uint8_t>(2 * words.size())};
    for (const std::uint16_t w : words) { // of bits the low byte goes first
        const auto high = static_cast<std::uint8_t>(w >> 8), low = static_cast<std::uint8_t>(w & 0xFF);
        pdu.push_back(scale == 16 ? low : high);
        pdu.push_back(scale == 16 ? high : low);
    }
    return pdu;
}

Storm::Buffer Storm::framed(const Asked& asked, Buffer pdu) const {
    pdu.insert(pdu.begin(), asked.unit);
    if (is_tcp()) {
        const std::size_t size = pdu.size();
        pdu.insert(pdu.begin(), {static_cast<std::uint8_t>(asked.transaction >> 8),
                                 static_cast<std::uint8_t>(asked.transaction), 0, 0,
                                 static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
        return pdu;
    }
    const std::uint16_t crc = slow_crc(pdu);
    pdu.push_back(static_cast<std::uint8_t>(crc % 256));
    pdu.push_back(static_cast<std::uint8_t>(crc / 256));
    return pdu;
}

// Bits flip at the rate of this stretch of the line, and one frame in fifty meets something worse.
Storm::Buffer Storm::with_noise(const Buffer& frame, bool& changed) {
    Buffer bytes = frame;
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

// One damaged frame in 65536 has a good checksum again: no receiver can tell, so it is counted and not
// played.
bool Storm::is_forged(const Buffer& bytes, const Buffer& good, const Asked& asked) const {
    for (std::size_t at = 0; at + 5 <= bytes.size(); ++at) {
        if (bytes[at] != asked.unit || (bytes[at + 1] & 0x7F) != asked.function)
            continue;
        const std::size_t size = bytes[at + 1] == asked.function ? good.size() : 5;
        if (at + size <= bytes.size() && holds_crc(&bytes[at], size) &&
            !std::equal(good.begin(), good.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                        bytes.begin() + static_cast<std::ptrdiff_t>(at + size)))
            return true;
    }
    return false;
}

void Storm::answer_noisily(SimulatedLink& link, const Buffer& request, const Asked& asked) {
    const nanoseconds character(86806);
    const SteadyTime end = link.now() + character * static_cast<int>(request.size());
    const bool echoes = below(200) == 0;
    if (echoes)
        link.deliver(end, request);
    if (below(100) == 0) { // a burst between the frames
        Buffer burst(1 + below(40));
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
    served_.push_back(link.now());
    if (served_.size() > longest_memory)
        served_.pop_front();
    const Buffer good = framed(asked, pdu_of(asked, ++number_));
    Buffer bytes = with_noise(good, changed);
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
    served_.push_back(link.now());
    if (served_.size() > longest_memory)
        served_.pop_front();
    ++number_;
    SteadyTime& busy = busy_[asked.unit];
    const SteadyTime at = std::max(link.now() + nanoseconds(500000 + below(2000000)), busy);
    busy = at;
    play(link, asked, at);
}

// What a unit does instead of answering properly: three times in ten, and one of everything.
void Storm::play(SimulatedLink& link, const Asked& asked, SteadyTime at) {
    const Buffer good = framed(asked, pdu_of(asked, number_));
    const auto told = [&asked, this](const char* how, SteadyTime when) {
        tell("unit " + std::to_string(asked.unit) + " function " + std::to_string(asked.function) +
             " address " + std::to_string(asked.address) + " count " + std::to_string(asked.count) +
             " number " + std::to_string(number_) + ": " + how + " at " +
             std::to_string(std::chrono::duration<double>(when.time_since_epoch()).count()));
    };
    if (below(10) >= 3) {
        told("good", at);
        link.deliver(at, good);
        unanswered_.erase(asked.unit);
        return;
    }
    std::size_t which = below(is_tcp() ? tricks : static_cast<std::size_t>(Trick::transaction));
    const auto trick_is = [&which](Trick trick) {
        return which == static_cast<std::size_t>(trick);
    };
    // Two faults at once that nobody could see through: a late answer under another's name, and the rest of a
    // cut TCP frame taken from the first bytes of one that comes in pieces.
    const bool is_behind = at > link.now() + milliseconds(3);
    if ((is_behind && (trick_is(Trick::other_unit) || trick_is(Trick::other_function))) ||
        (is_cut_ && trick_is(Trick::split)))
        which = static_cast<std::size_t>(Trick::byte_count);
    ++played_[which];
    ++spoiled_;
    Buffer bytes = good, pdu = pdu_of(asked, number_);
    Asked other = asked;
    const auto timeout = std::chrono::nanoseconds(timing_.timeout);
    switch (static_cast<Trick>(which)) {
    case Trick::crc: // TCP has none: there a bit of the function
        bytes[is_tcp() ? 7 : below(bytes.size())] ^= 0x10;
        break;
    case Trick::other_unit:
        other.unit = static_cast<std::uint8_t>(asked.unit % units + 1 + units * below(2));
        bytes = framed(other, pdu);
        break;
    case Trick::other_function:
        pdu[0] = static_cast<std::uint8_t>(1 + pdu[0] % 6);
        bytes = framed(asked, pdu);
        break;
    case Trick::exception:
        bytes = framed(asked, {static_cast<std::uint8_t>(asked.function | 0x80),
                               static_cast<std::uint8_t>(1 + below(11))});
        break;
    case Trick::short_frame:
        pdu.resize(1 + below(pdu.size() - 1));
        bytes = below(2) == 0 ? framed(asked, pdu)
                              : Buffer(good.begin(), good.end() - 1 - static_cast<std::ptrdiff_t>(below(4)));
        break;
    case Trick::long_frame:
        pdu.insert(pdu.end(), 1 + below(6), 0x55);
        bytes = framed(asked, pdu);
        break;
    case Trick::oversized:
        pdu.resize(300 + below(600), 0xAA);
        bytes = framed(asked, pdu);
        break;
    case Trick::byte_count:
        pdu[1] = static_cast<std::uint8_t>(pdu[1] + (below(2) == 0 ? 2 : 254));
        bytes = framed(asked, pdu);
        break;
    case Trick::late:
        // after half a timeout up to five, behind what the unit still has to say
        at = std::min(std::max(link.now() + timeout / 2 +
                                   nanoseconds(below(static_cast<std::uint64_t>(9 * timeout.count() / 2))),
                               at),
                      link.now() + latest * timeout);
        busy_[asked.unit] = at;
        break;
    case Trick::previous: {
        // The answer to what was asked before. In RTU frames one that was answered already, to a question
        // that looks the same, cannot be told from the right one by anybody.
        const auto before = unanswered_.find(asked.unit);
        if (before == unanswered_.end() ||
            (!is_tcp() && before->second.count == asked.count && before->second.function == asked.function))
            break;
        bytes = framed(before->second, pdu_of(before->second, number_));
        break;
    }
    case Trick::twice:
        bytes.insert(bytes.end(), good.begin(), good.end());
        break;
    case Trick::after_reconnect:
        link.break_at(link.now() + nanoseconds(below(static_cast<std::uint64_t>(timeout.count()))));
        at = std::min(
            std::max(link.now() + nanoseconds(below(static_cast<std::uint64_t>(latest * timeout.count()))),
                     at),
            link.now() + latest * timeout);
        busy_[asked.unit] = at;
        break;
    case Trick::transaction:
        other.transaction = static_cast<std::uint16_t>(asked.transaction + 1 + below(65535));
        other.address = static_cast<std::uint16_t>(asked.address + 1);
        bytes = framed(other, pdu_of(other, number_));
        break;
    case Trick::length:
        bytes[4] = bytes[5] = below(2) == 0 ? 0 : 255;
        break;
    case Trick::coalesced: {
        other.transaction = static_cast<std::uint16_t>(asked.transaction - 1);
        other.address = static_cast<std::uint16_t>(asked.address + 1);
        const Buffer before = framed(other, pdu_of(other, number_));
        bytes.insert(bytes.begin(), before.begin(), before.end());
        break;
    }
    case Trick::split:
        for (std::size_t i = 0; i < bytes.size(); ++i)
            link.deliver(at += nanoseconds(1), {bytes[i]});
        bytes.clear();
        busy_[asked.unit] = at; // what follows does not come in between
        break;
    }
    if (!trick_is(Trick::late) && !trick_is(Trick::after_reconnect) && !trick_is(Trick::twice))
        unanswered_[asked.unit] = asked;
    is_cut_ = trick_is(Trick::short_frame);
    told(trick_names[which], at);
    link.deliver(at, bytes);
}

std::string Storm::report() const {
    std::string text = "{";
    const auto add = [&text](const char* name, std::uint64_t value) {
        text += std::string(text.size() > 1 ? ", " : "") + "\"" + name + "\": " + std::to_string(value);
    };
    add("exchanges", exchanges_);
    add("frames", frames_);
    add("spoiled", spoiled_);
    add("forged", forged_);
    add("good", good_);
    add("exceptions", exceptions_);
    add("silent", silent_);
    add("damaged", damaged_);
    add("lost", lost_);
    add("too_many", too_many_);
    add("stale", stale_);
    add("oldest_ms", static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(oldest_).count()));
    add("late_answers", bus_->late_answers());
    add("wrong", wrong_);
    for (std::size_t i = 0; i < tricks; ++i)
        if (played_[i] > 0)
            add(trick_names[i], played_[i]);
    return text + ", \"first_wrong\": \"" + first_wrong_ + "\"}";
}

} // namespace things
