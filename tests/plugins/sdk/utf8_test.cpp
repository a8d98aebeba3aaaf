// SPDX-License-Identifier: Apache-2.0
#include "things_utf8.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace things;

namespace {

std::string encoded(unsigned code) {
    const auto byte = [](unsigned value) {
        return static_cast<char>(value);
    };
    const auto tail = [&byte, code](unsigned shift) {
        return byte(0x80U | (code >> shift & 0x3FU));
    };
    if (code < 0x80)
        return {byte(code)};
    if (code < 0x800)
        return {byte(0xC0U | code >> 6U), tail(0)};
    if (code < 0x10000)
        return {byte(0xE0U | code >> 12U), tail(6), tail(0)};
    return {byte(0xF0U | code >> 18U), tail(12), tail(6), tail(0)};
}

} // namespace

TEST_CASE("of all code points those that are none, or half a pair, have no length") {
    for (unsigned code = 0; code < 0x140000; ++code) {
        const std::string text = encoded(code);
        const bool is_one = code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
        if (utf8_length(text + "x") != (is_one ? text.size() : 0))
            FAIL("code point ", code);
        if (is_one && utf8_length(text.substr(0, text.size() - 1)) != 0)
            FAIL("code point cut short: ", code);
    }
}

TEST_CASE("what is no sequence has no length") {
    CHECK(utf8_length("") == 0);
    CHECK(utf8_length("\x80") == 0);
    CHECK(utf8_length("\xFF\xBF\xBF\xBF") == 0);
    CHECK(utf8_length("\xC1\xBF") == 0); // overlong
    CHECK(utf8_length("\xE0\x9F\xBF") == 0);
    CHECK(utf8_length("\xF0\x8F\xBF\xBF") == 0);
    CHECK(utf8_length("\xC3(") == 0);
}
