// SPDX-License-Identifier: Apache-2.0
#include "link/checksum.hpp"

#include <array>

namespace things {

namespace {

using Table = std::array<std::uint16_t, 256>;

constexpr Table reflected(std::uint16_t polynomial) {
    Table table{};
    for (unsigned i = 0; i < table.size(); ++i) {
        unsigned value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1U) != 0 ? (value >> 1U) ^ polynomial : value >> 1U;
        table[i] = static_cast<std::uint16_t>(value);
    }
    return table;
}

constexpr Table forward(std::uint16_t polynomial) {
    Table table{};
    for (unsigned i = 0; i < table.size(); ++i) {
        unsigned value = i << 8U;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 0x8000U) != 0 ? (value << 1U) ^ polynomial : value << 1U;
        table[i] = static_cast<std::uint16_t>(value);
    }
    return table;
}

constexpr Table ibm = reflected(0xA001);
constexpr Table ccitt_reflected = reflected(0x8408);
constexpr Table ccitt_forward = forward(0x1021);

std::uint16_t run_reflected(const Table& table, unsigned crc, std::string_view bytes) {
    for (char c : bytes)
        crc = (crc >> 8U) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xffU];
    return static_cast<std::uint16_t>(crc);
}

std::uint16_t run_forward(unsigned crc, std::string_view bytes) {
    for (char c : bytes)
        crc = ((crc << 8U) & 0xffffU) ^ ccitt_forward[((crc >> 8U) ^ static_cast<unsigned char>(c)) & 0xffU];
    return static_cast<std::uint16_t>(crc);
}

} // namespace

std::uint16_t crc16_arc(std::string_view bytes) {
    return run_reflected(ibm, 0, bytes);
}

std::uint16_t crc16_modbus(std::string_view bytes) {
    return run_reflected(ibm, 0xffff, bytes);
}

std::uint16_t crc16_x25(std::string_view bytes) {
    return static_cast<std::uint16_t>(run_reflected(ccitt_reflected, 0xffff, bytes) ^ 0xffffU);
}

std::uint16_t crc16_kermit(std::string_view bytes) {
    return run_reflected(ccitt_reflected, 0, bytes);
}

std::uint16_t crc16_ccitt(std::string_view bytes) {
    return run_forward(0xffff, bytes);
}

std::uint16_t crc16_xmodem(std::string_view bytes) {
    return run_forward(0, bytes);
}

std::uint8_t xor8(std::string_view bytes) {
    unsigned result = 0;
    for (char c : bytes)
        result ^= static_cast<unsigned char>(c);
    return static_cast<std::uint8_t>(result);
}

std::uint16_t sum16(std::string_view bytes) {
    unsigned result = 0;
    for (char c : bytes)
        result += static_cast<unsigned char>(c);
    return static_cast<std::uint16_t>(result);
}

std::uint8_t sum8(std::string_view bytes) {
    return static_cast<std::uint8_t>(sum16(bytes));
}

} // namespace things
