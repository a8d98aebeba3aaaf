// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

// The checksums that telegrams and frames carry. Pure. Names and parameters as in the usual catalogue; each
// with its value for "123456789".
namespace things {

/// In a telegram of DSMR over all from '/' to '!', four hexadecimal digits, most significant first.
[[nodiscard]] std::uint16_t crc16_arc(std::string_view bytes);    ///< BB3D: DSMR 4 and later
[[nodiscard]] std::uint16_t crc16_modbus(std::string_view bytes); ///< 4B37
[[nodiscard]] std::uint16_t crc16_x25(std::string_view bytes);    ///< 906E: HDLC, Holley meters
[[nodiscard]] std::uint16_t crc16_kermit(std::string_view bytes); ///< 2189
[[nodiscard]] std::uint16_t crc16_ccitt(std::string_view bytes);  ///< 29B1: CCITT-FALSE, init FFFF
[[nodiscard]] std::uint16_t crc16_xmodem(std::string_view bytes); ///< 31C3
[[nodiscard]] std::uint8_t xor8(std::string_view bytes);          ///< 31: NMEA, BCC
[[nodiscard]] std::uint8_t sum8(std::string_view bytes);          ///< DD
[[nodiscard]] std::uint16_t sum16(std::string_view bytes);        ///< 01DD

} // namespace things
