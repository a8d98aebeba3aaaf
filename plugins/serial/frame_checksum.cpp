// SPDX-License-Identifier: Apache-2.0
#include "serial/frame_reader.hpp"

#include "serial/escaped_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace things {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_16_bit(ChecksumKind kind) {
    return kind >= ChecksumKind::sum16;
}

unsigned compute_plain(ChecksumKind kind, std::string_view bytes) {
    switch (kind) {
    case ChecksumKind::nmea:
    case ChecksumKind::nmea_optional:
    case ChecksumKind::xor8:
        return xor8(bytes);
    case ChecksumKind::sum8:
        return sum8(bytes);
    case ChecksumKind::sum8_zero:
        return (0x100U - sum8(bytes)) & 0xffU;
    case ChecksumKind::sum16:
        return sum16(bytes);
    case ChecksumKind::crc16_modbus:
        return crc16_modbus(bytes);
    case ChecksumKind::crc16_arc:
    case ChecksumKind::sdi12:
        return crc16_arc(bytes);
    case ChecksumKind::crc16_x25:
        return crc16_x25(bytes);
    case ChecksumKind::crc_ccitt:
        return crc16_ccitt(bytes);
    case ChecksumKind::crc_xmodem:
        return crc16_xmodem(bytes);
    case ChecksumKind::crc_kermit:
        return crc16_kermit(bytes);
    case ChecksumKind::none:
        break;
    }
    return 0;
}

unsigned compute(const ChecksumRules& rules, std::string_view bytes) {
    unsigned value = compute_plain(rules.kind, bytes);
    return rules.is_negated ? (0U - value) & (is_16_bit(rules.kind) ? 0xffffU : 0xffU) : value;
}

/// The parts of a frame that count; nothing if it is too short to have them.
struct Parts {
    std::string_view stated, covered;
};

std::optional<Parts> parts_of(std::string_view bytes, std::size_t text_length, std::size_t trailing,
                              const ChecksumRules& rules) {
    std::size_t size = checksum_size(rules);
    // It stands at the very end: behind the delimiter if something does, else at the end of the text.
    std::size_t end = trailing > 0 ? bytes.size() : text_length;
    if (end < rules.tail + size + rules.gap + rules.from)
        return std::nullopt;
    std::size_t at = end - rules.tail - size;
    return Parts{bytes.substr(at, size), bytes.substr(rules.from, at - rules.gap - rules.from)};
}

/// Digits as they are, bytes as digits.
std::string shown(std::string_view checksum, bool is_hex) {
    if (is_hex)
        return fmt::format("\"{}\"", escaped(checksum));
    return in_hex(checksum);
}

/// What NMEA covers: from behind the $ or ! to the last *; npos if there is no *.
bool is_nmea_intact(std::string_view text, bool is_optional) {
    std::size_t star = text.rfind('*');
    if (star == std::string_view::npos)
        return is_optional;
    if (text.size() != star + 3 || text.empty() || (text[0] != '$' && text[0] != '!'))
        return false;
    int high = hex_digit(text[star + 1]), low = hex_digit(text[star + 2]);
    return high >= 0 && low >= 0 && xor8(text.substr(1, star - 1)) == static_cast<unsigned>(high * 16 + low);
}

} // namespace

std::size_t checksum_size(const ChecksumRules& rules) {
    if (rules.kind == ChecksumKind::none || rules.kind == ChecksumKind::nmea ||
        rules.kind == ChecksumKind::nmea_optional)
        return 0;
    if (rules.kind == ChecksumKind::sdi12)
        return 3;
    std::size_t bytes = is_16_bit(rules.kind) ? 2 : 1;
    return rules.is_hex ? bytes * 2 : bytes;
}

std::string make_checksum(std::string_view covered, const ChecksumRules& rules) {
    unsigned value = compute(rules, covered);
    if (rules.kind == ChecksumKind::none)
        return {};
    if (rules.kind == ChecksumKind::sdi12)
        return {static_cast<char>(0x40U | (value >> 12U)), static_cast<char>(0x40U | ((value >> 6U) & 0x3fU)),
                static_cast<char>(0x40U | (value & 0x3fU))};
    if (rules.kind == ChecksumKind::nmea || rules.kind == ChecksumKind::nmea_optional)
        return fmt::format("{:02X}", value);
    if (is_16_bit(rules.kind) && rules.is_low_first)
        value = ((value & 0xffU) << 8U) | (value >> 8U);
    if (rules.is_hex)
        return is_16_bit(rules.kind) ? fmt::format("{:04X}", value) : fmt::format("{:02X}", value);
    if (!is_16_bit(rules.kind))
        return {static_cast<char>(value)};
    return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
}

bool is_intact(std::string_view bytes, std::size_t text_length, std::size_t trailing,
               const ChecksumRules& rules) {
    if (rules.kind == ChecksumKind::none)
        return true;
    if (rules.kind == ChecksumKind::nmea || rules.kind == ChecksumKind::nmea_optional)
        return is_nmea_intact(bytes.substr(0, text_length), rules.kind == ChecksumKind::nmea_optional);
    std::optional<Parts> parts = parts_of(bytes, text_length, trailing, rules);
    if (!parts)
        return false;
    std::string expected = make_checksum(parts->covered, rules);
    return std::equal(parts->stated.begin(), parts->stated.end(), expected.begin(), expected.end(),
                      [&rules](char a, char b) {
                          return a == b ||
                                 (rules.is_hex && hex_digit(a) >= 0 && hex_digit(a) == hex_digit(b));
                      });
}

std::string checksum_mistake(std::string_view bytes, std::size_t text_length, std::size_t trailing,
                             const ChecksumRules& rules) {
    if (rules.kind == ChecksumKind::nmea || rules.kind == ChecksumKind::nmea_optional) {
        std::string_view text = bytes.substr(0, text_length);
        std::size_t star = text.rfind('*');
        if (star == std::string_view::npos || star == 0 || text.size() != star + 3)
            return "it does not end in * and the two digits of a checksum";
        if (text[0] != '$' && text[0] != '!')
            return "it does not begin with $ or !";
        return fmt::format("the checksum is {}, but should be \"{:02X}\"", shown(text.substr(star + 1), true),
                           xor8(text.substr(1, star - 1)));
    }
    std::optional<Parts> parts = parts_of(bytes, text_length, trailing, rules);
    if (!parts)
        return fmt::format("{} bytes are too few to hold the checksum", bytes.size());
    bool are_digits = rules.is_hex || rules.kind == ChecksumKind::sdi12;
    std::string over = parts->covered.empty() ? "no bytes"
                                              : fmt::format("bytes {} to {}", rules.from,
                                                            rules.from + parts->covered.size() - 1);
    return fmt::format("the checksum over {} is {}, but should be {}", over, shown(parts->stated, are_digits),
                       shown(make_checksum(parts->covered, rules), are_digits));
}

} // namespace things
