// SPDX-License-Identifier: Apache-2.0
#include "support/bus_storm/storm_frames.hpp"

#include "support/tcp_device.hpp"

#include <algorithm>

namespace things {

namespace {

constexpr std::size_t exception_size = 5;
constexpr std::size_t header_size = 6; // MBAP, without the unit

bool holds_crc(const StormBytes& bytes, std::size_t at, std::size_t size) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const std::uint16_t crc = slow_crc({begin, begin + static_cast<std::ptrdiff_t>(size) - 2});
    return bytes[at + size - 2] == crc % 256 && bytes[at + size - 1] == crc / 256;
}

} // namespace

unsigned storm_scale(std::uint8_t function) {
    return function <= 2 ? 16 : 1;
}

std::uint16_t storm_word(const StormBytes& bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

StormBytes storm_pdu(const Asked& asked, std::uint32_t number) {
    const unsigned scale = storm_scale(asked.function);
    std::vector<std::uint16_t> words;
    for (unsigned i = 0; i < asked.count / scale; i += 4) {
        words.push_back(static_cast<std::uint16_t>(asked.unit << 8 | asked.function));
        words.push_back(static_cast<std::uint16_t>(asked.address / scale + i));
        words.push_back(static_cast<std::uint16_t>(number >> 16));
        words.push_back(static_cast<std::uint16_t>(number));
    }
    StormBytes pdu{asked.function, static_cast<std::uint8_t>(2 * words.size())};
    for (const std::uint16_t word : words) { // of bits the low byte goes first
        const auto high = static_cast<std::uint8_t>(word >> 8), low = static_cast<std::uint8_t>(word & 0xFF);
        pdu.push_back(scale == 16 ? low : high);
        pdu.push_back(scale == 16 ? high : low);
    }
    return pdu;
}

StormBytes storm_frame(const Asked& asked, StormBytes pdu, bool tcp) {
    pdu.insert(pdu.begin(), asked.unit);
    if (tcp) {
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

bool answers(const StormBytes& bytes, std::size_t at, std::size_t size, const Asked& asked, bool tcp) {
    if (at + size > bytes.size())
        return false;
    const std::size_t body = at + (tcp ? header_size : 0);
    const auto count = static_cast<std::uint8_t>(2 * asked.count / storm_scale(asked.function));
    if (bytes[body] != asked.unit || bytes[body + 1] != asked.function || bytes[body + 2] != count)
        return false;
    if (!tcp)
        return holds_crc(bytes, at, size);
    return storm_word(bytes, at) == asked.transaction && storm_word(bytes, at + 2) == 0 &&
           storm_word(bytes, at + 4) == size - header_size;
}

bool is_forged(const StormBytes& bytes, const StormBytes& good, const Asked& asked) {
    for (std::size_t at = 0; at + exception_size <= bytes.size(); ++at) {
        if (bytes[at] != asked.unit || (bytes[at + 1] & 0x7F) != asked.function)
            continue;
        const std::size_t size = bytes[at + 1] == asked.function ? good.size() : exception_size;
        if (at + size <= bytes.size() && holds_crc(bytes, at, size) &&
            !std::equal(good.begin(), good.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                        bytes.begin() + static_cast<std::ptrdiff_t>(at + size)))
            return true;
    }
    return false;
}

} // namespace things
