// SPDX-License-Identifier: Apache-2.0
#include "link/checksum.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace things;

TEST_CASE("checksums have the values of the catalogue for 123456789") {
    CHECK(crc16_arc("123456789") == 0xBB3D);
    CHECK(crc16_modbus("123456789") == 0x4B37);
    CHECK(crc16_x25("123456789") == 0x906E);
    CHECK(crc16_kermit("123456789") == 0x2189);
    CHECK(crc16_ccitt("123456789") == 0x29B1);
    CHECK(crc16_xmodem("123456789") == 0x31C3);
    CHECK(xor8("123456789") == 0x31);
    CHECK(sum8("123456789") == 0xDD);
    CHECK(sum16("123456789") == 0x01DD);
}

TEST_CASE("the checksum of a telegram covers '/' to '!' with its line ends") {
    CHECK(crc16_arc("/XXX5\r\n\r\n!") == 0x010B);
    CHECK(crc16_arc("/XXX5\\2SYN-1\r\n\r\n1-3:0.2.8(50)\r\n!") == 0x06D3);
    CHECK(crc16_arc("/XXX5\\2SYN-1\n\n1-3:0.2.8(50)\n!") == 0x030C);
    CHECK(crc16_arc("/XXX5\\2SYN-1\r\n\r\n1-3:0.2.8(50)\r\n") == 0x1328);
}
