// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_width.hpp"

#include "modbus/register_bits.hpp"

#include <algorithm>

namespace things {

namespace {

using ByteList = std::vector<std::uint8_t>;

ByteList bytes_of(std::span<const std::uint16_t> words) {
    ByteList bytes;
    for (const std::uint16_t word : words) {
        bytes.push_back(static_cast<std::uint8_t>(word >> 8));
        bytes.push_back(static_cast<std::uint8_t>(word & 0xFF));
    }
    return bytes;
}

std::vector<std::uint16_t> words_of(const ByteList& bytes) {
    std::vector<std::uint16_t> words((bytes.size() + 1) / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        words[i / 2] = static_cast<std::uint16_t>(words[i / 2] | bytes[i] << (i % 2 == 0 ? 8 : 0));
    return words;
}

// A switch needs no more than a register.
std::size_t value_size(const RegisterFormat& format, unsigned register_bytes) {
    if (integer_bits(format.type) == 8)
        return 1;
    if (format.type == RegisterType::boolean && !needs_current(format))
        return std::min(register_bytes, 2U);
    return std::size_t{2} * register_count(format);
}

ByteList part(std::span<const std::uint16_t> payload, std::uint32_t offset, std::size_t size,
              unsigned register_bytes) {
    const ByteList all = bytes_of(payload);
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(std::size_t{offset} * register_bytes);
    return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

} // namespace

std::uint32_t registers_of(const RegisterFormat& format, unsigned register_bytes) {
    const std::size_t size = value_size(format, register_bytes);
    return static_cast<std::uint32_t>((size + register_bytes - 1) / register_bytes);
}

std::vector<std::uint16_t> value_words(std::span<const std::uint16_t> payload, std::uint32_t offset,
                                       const RegisterFormat& format, unsigned register_bytes) {
    if (register_bytes == 2)
        return part_of_payload(payload, offset, register_count(format), 2);
    const std::size_t size = value_size(format, register_bytes);
    const std::size_t room = std::size_t{registers_of(format, register_bytes)} * register_bytes;
    ByteList bytes = part(payload, offset, room, register_bytes);
    if (format.type != RegisterType::string)
        bytes.erase(bytes.begin(), bytes.end() - static_cast<std::ptrdiff_t>(size));
    bytes.insert(bytes.begin(), size % 2, std::uint8_t{0}); // a value of one byte is the low one of its word
    return words_of(bytes);
}

std::vector<std::uint16_t> value_payload(const std::vector<std::uint16_t>& words,
                                         const RegisterFormat& format, unsigned register_bytes,
                                         std::span<const std::uint16_t> current) {
    if (register_bytes == 2)
        return words;
    const std::size_t size = value_size(format, register_bytes);
    const std::size_t room = std::size_t{registers_of(format, register_bytes)} * register_bytes;
    const ByteList value = bytes_of(words);
    if (format.type == RegisterType::string) {
        ByteList text(room);
        std::copy(value.begin(), value.end(), text.begin());
        return words_of(text);
    }
    const unsigned width = integer_bits(format.type);
    const bool is_negative = width > 0 && is_signed(format.type) && !needs_current(format) &&
                             (bits_of(format.order, words) >> (width - 1) & 1) != 0;
    ByteList bytes(room, is_negative ? std::uint8_t{0xFF} : std::uint8_t{0});
    if (const ByteList now = bytes_of(current); now.size() >= room)
        std::copy_n(now.begin(), room, bytes.begin());
    std::copy_n(value.end() - static_cast<std::ptrdiff_t>(size), size,
                bytes.end() - static_cast<std::ptrdiff_t>(size));
    return words_of(bytes);
}

std::vector<std::uint16_t> part_of_payload(std::span<const std::uint16_t> payload, std::uint32_t offset,
                                           std::uint32_t count, unsigned register_bytes) {
    if (register_bytes == 2) {
        const auto words = payload.subspan(offset, count);
        return {words.begin(), words.end()};
    }
    return words_of(part(payload, offset, std::size_t{count} * register_bytes, register_bytes));
}

int power_in(std::span<const std::uint16_t> payload, std::uint32_t offset, unsigned register_bytes) {
    if (register_bytes == 2)
        return static_cast<std::int16_t>(payload[offset]);
    const ByteList bytes = part(payload, offset, register_bytes, register_bytes);
    if (bytes.size() == 1)
        return static_cast<std::int8_t>(bytes[0]);
    return static_cast<std::int16_t>(bytes[bytes.size() - 2] << 8 | bytes.back());
}

} // namespace things
