// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_value.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

using namespace things;

namespace {

using Words = std::vector<std::uint16_t>;

RegisterFormat format(RegisterType type, RegisterOrder order = RegisterOrder::abcd) {
    RegisterFormat result;
    result.type = type;
    result.order = order;
    return result;
}

RegisterFormat scaled(RegisterType type, double scale, double offset = 0) {
    RegisterFormat result = format(type);
    result.scale = decimal_of(scale);
    result.offset = decimal_of(offset);
    return result;
}

RegisterValue value_of(const RegisterFormat& f, const Words& words, int power = 0) {
    return decode(f, words, power).value;
}

constexpr RegisterOrder all_orders[] = {RegisterOrder::abcd, RegisterOrder::cdab, RegisterOrder::badc,
                                        RegisterOrder::dcba};

} // namespace

TEST_CASE("the four orders of a 32-bit value") {
    // 0x11223344 = 287454020
    const RegisterValue expected = std::int64_t{0x11223344};
    CHECK(value_of(format(RegisterType::uint32, RegisterOrder::abcd), {0x1122, 0x3344}) == expected);
    CHECK(value_of(format(RegisterType::uint32, RegisterOrder::cdab), {0x3344, 0x1122}) == expected);
    CHECK(value_of(format(RegisterType::uint32, RegisterOrder::badc), {0x2211, 0x4433}) == expected);
    CHECK(value_of(format(RegisterType::uint32, RegisterOrder::dcba), {0x4433, 0x2211}) == expected);
}

TEST_CASE("the four orders of a 64-bit value") {
    const RegisterValue expected = std::uint64_t{0x1122334455667788};
    CHECK(value_of(format(RegisterType::uint64, RegisterOrder::abcd), {0x1122, 0x3344, 0x5566, 0x7788}) ==
          expected);
    CHECK(value_of(format(RegisterType::uint64, RegisterOrder::cdab), {0x7788, 0x5566, 0x3344, 0x1122}) ==
          expected);
    CHECK(value_of(format(RegisterType::uint64, RegisterOrder::badc), {0x2211, 0x4433, 0x6655, 0x8877}) ==
          expected);
    CHECK(value_of(format(RegisterType::uint64, RegisterOrder::dcba), {0x8877, 0x6655, 0x4433, 0x2211}) ==
          expected);
}

TEST_CASE("a swap of bytes reaches 16-bit values and strings") {
    CHECK(value_of(format(RegisterType::int16, RegisterOrder::badc), {0xFEFF}) ==
          RegisterValue(std::int64_t{-2}));
    CHECK(value_of(format(RegisterType::int16, RegisterOrder::cdab), {0xFFFE}) ==
          RegisterValue(std::int64_t{-2}));
    RegisterFormat text = format(RegisterType::string, RegisterOrder::badc);
    text.length = 2;
    CHECK(value_of(text, {0x4241, 0x0043}) == RegisterValue(std::string("ABC")));
}

TEST_CASE("integers are exact up to 64 bits") {
    CHECK(value_of(format(RegisterType::int64), {0x8000, 0, 0, 1}) ==
          RegisterValue(std::int64_t{INT64_MIN + 1}));
    CHECK(value_of(format(RegisterType::int64), {0x8000, 0, 0, 0}) == RegisterValue(std::int64_t{INT64_MIN}));
    CHECK(encode(format(RegisterType::int64), std::int64_t{INT64_MIN}).words == Words{0x8000, 0, 0, 0});
    CHECK(encode(format(RegisterType::int64), std::int64_t{-1}).words ==
          Words{0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF});
    CHECK(encode(format(RegisterType::uint64), std::uint64_t{UINT64_MAX}).words ==
          Words{0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF});
    CHECK(value_of(format(RegisterType::uint64), {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE}) ==
          RegisterValue(std::uint64_t{UINT64_MAX - 1}));
    CHECK(value_of(format(RegisterType::int32), {0x8000, 0}) == RegisterValue(std::int64_t{INT32_MIN}));
    CHECK(value_of(format(RegisterType::int16), {0x8000}) == RegisterValue(std::int64_t{-32768}));
    // 2^53 + 1 does not fit into a double: a scale of 10 must not pass through one
    CHECK(value_of(scaled(RegisterType::int64, 10), {0x0020, 0, 0, 1}) ==
          RegisterValue(std::int64_t{90071992547409930}));
}

TEST_CASE("a decimal scale gives the shortest decimal") {
    CHECK(value_of(scaled(RegisterType::int16, 0.1), {3}) == RegisterValue(0.3));
    CHECK(value_of(scaled(RegisterType::int16, 0.1), {7}) == RegisterValue(0.7));
    CHECK(value_of(scaled(RegisterType::uint32, 0.01), {0x0001, 0x11CD}) == RegisterValue(700.93));
    CHECK(value_of(scaled(RegisterType::int16, 0.001, 273.15), {1}) == RegisterValue(273.151));
    CHECK(value_of(scaled(RegisterType::uint16, 0.1, -40), {654}) == RegisterValue(25.4));
    CHECK(value_of(scaled(RegisterType::uint16, 2), {21}) == RegisterValue(std::int64_t{42}));
    CHECK(value_of(scaled(RegisterType::uint16, -0.5), {3}) == RegisterValue(-1.5));
}

TEST_CASE("every 16-bit value times 10^-k is what a person would write down") {
    for (int k = 1; k <= 4; ++k)
        for (int raw = -32768; raw <= 32767; raw += 7) {
            const RegisterFormat f = scaled(RegisterType::int16, std::stod("1e-" + std::to_string(k)));
            const double expected = std::stod(std::to_string(raw) + "e-" + std::to_string(k));
            REQUIRE(value_of(f, {static_cast<std::uint16_t>(raw)}) == RegisterValue(expected));
        }
}

TEST_CASE("a power of ten from a scale factor register") {
    CHECK(value_of(format(RegisterType::uint16), {2305}, -1) == RegisterValue(230.5));
    CHECK(value_of(format(RegisterType::uint16), {2305}, 1) == RegisterValue(std::int64_t{23050}));
    CHECK(value_of(format(RegisterType::uint16), {2305}, 0) == RegisterValue(std::int64_t{2305}));
}

TEST_CASE("floats are read as the decimal that they stand for") {
    CHECK(value_of(format(RegisterType::float32), {0x41AA, 0x6666}) == RegisterValue(21.3));
    CHECK(value_of(format(RegisterType::float32, RegisterOrder::cdab), {0x6666, 0x41AA}) ==
          RegisterValue(21.3));
    CHECK(value_of(format(RegisterType::float64), {0x400C, 0, 0, 0}) == RegisterValue(3.5));
    CHECK(value_of(scaled(RegisterType::float32, 0.001), {0x4487, 0x6000}) == RegisterValue(1.083));
}

TEST_CASE("what is no number is no reading") {
    CHECK(decode(format(RegisterType::float32), Words{0x7FC0, 0}).why_not);
    CHECK(decode(format(RegisterType::float32), Words{0xFF80, 0}).why_not);
    CHECK(decode(format(RegisterType::float64), Words{0x7FF0, 0, 0, 1}).why_not);
    CHECK(decode(format(RegisterType::bcd16), Words{0x12A4}).why_not);
}

TEST_CASE("invalid values are compared raw, signed as the type") {
    RegisterFormat f = scaled(RegisterType::int16, 0.1);
    f.invalid.push_back(*fit_invalid(f, std::int64_t{-32768}));
    CHECK(decode(f, Words{0x8000}).why_not);
    CHECK(value_of(f, {0x7FFF}) == RegisterValue(3276.7));
    RegisterFormat bits = format(RegisterType::int16);
    bits.invalid.push_back(*fit_invalid(bits, std::int64_t{0x8000})); // written as its bits
    CHECK(decode(bits, Words{0x8000}).why_not);
    CHECK_FALSE(fit_invalid(format(RegisterType::uint16), std::int64_t{-1}));
    CHECK_FALSE(fit_invalid(format(RegisterType::int16), std::int64_t{65536}));
}

TEST_CASE("bits, masks, BCD, text") {
    RegisterFormat bit = format(RegisterType::uint16);
    bit.bit = 3;
    CHECK(value_of(bit, {0x0008}) == RegisterValue(true));
    CHECK(value_of(bit, {0xFFF7}) == RegisterValue(false));
    RegisterFormat high = format(RegisterType::uint32, RegisterOrder::cdab);
    high.bit = 31;
    CHECK(value_of(high, {0, 0x8000}) == RegisterValue(true));
    RegisterFormat mask = format(RegisterType::uint16);
    mask.mask = 0x0FF0;
    CHECK(value_of(mask, {0xABCD}) == RegisterValue(std::int64_t{0xBC}));
    CHECK(value_of(format(RegisterType::bcd16), {0x1234}) == RegisterValue(std::int64_t{1234}));
    CHECK(value_of(format(RegisterType::bcd32), {0x1234, 0x5678}) == RegisterValue(std::int64_t{12345678}));
    RegisterFormat text = format(RegisterType::string);
    text.length = 4;
    CHECK(value_of(text, {0x4142, 0x4320, 0x2020, 0}) == RegisterValue(std::string("ABC")));
    CHECK(value_of(text, {0xC3A9, 0xFF41, 0x0A42, 0}) == RegisterValue(std::string("\xC3\xA9?A?B")));
}

TEST_CASE("writing is the inverse of reading, for every type and order") {
    std::mt19937_64 random(4);
    for (const RegisterType type :
         {RegisterType::int16, RegisterType::uint16, RegisterType::int32, RegisterType::uint32,
          RegisterType::int64, RegisterType::uint64, RegisterType::float32, RegisterType::float64,
          RegisterType::bcd16, RegisterType::bcd32})
        for (const RegisterOrder order : all_orders)
            for (const double scale : {1.0, 0.1, 0.01, 10.0, 0.25})
                for (int i = 0; i < 50; ++i) {
                    RegisterFormat f = format(type, order);
                    f.scale = decimal_of(scale);
                    Words words(register_count(f));
                    for (std::uint16_t& word : words)
                        word = static_cast<std::uint16_t>(random());
                    const Decoded decoded = decode(f, words);
                    if (decoded.why_not)
                        continue;
                    const bool wide = integer_bits(type) == 64 && scale != 1.0;
                    if (wide || integer_bits(type) == 0)
                        continue; // a double holds 53 bits
                    const Encoded encoded = encode(f, decoded.value);
                    CHECK(encoded.error == "");
                    REQUIRE(encoded.words == words);
                }
}

TEST_CASE("floats come back as they were written") {
    std::mt19937_64 random(5);
    for (const RegisterOrder order : all_orders)
        for (int i = 0; i < 2000; ++i) {
            for (const RegisterType type : {RegisterType::float32, RegisterType::float64}) {
                const RegisterFormat f = format(type, order);
                Words words(register_count(f));
                for (std::uint16_t& word : words)
                    word = static_cast<std::uint16_t>(random());
                const Decoded decoded = decode(f, words);
                if (!decoded.why_not)
                    REQUIRE(encode(f, decoded.value).words == words);
            }
        }
}

TEST_CASE("what the registers cannot hold is refused, never wrapped") {
    CHECK(encode(format(RegisterType::int16), std::int64_t{32768}).error.find("-32768 to 32767") !=
          std::string::npos);
    CHECK(encode(format(RegisterType::uint16), std::int64_t{-1}).error != "");
    CHECK(encode(format(RegisterType::uint16), std::int64_t{65535}).error == "");
    CHECK(encode(scaled(RegisterType::int16, 0.1), 3276.8).error != "");
    CHECK(encode(scaled(RegisterType::int16, 0.1), 3276.74).error == "");
    CHECK(encode(format(RegisterType::uint64), std::int64_t{-1}).error != "");
    CHECK(encode(format(RegisterType::int64), std::uint64_t{1} << 63).error != "");
    CHECK(encode(format(RegisterType::bcd16), std::int64_t{10000}).error != "");
    CHECK(encode(format(RegisterType::float32), 1e39).error != "");
    CHECK(encode(format(RegisterType::uint16), 1e300).error != "");
    CHECK(encode(format(RegisterType::uint16), std::nan("")).error != "");
    CHECK(encode(format(RegisterType::uint16), std::string("12")).error != "");
    CHECK(encode(format(RegisterType::boolean), std::int64_t{2}).error != "");
    RegisterFormat text = format(RegisterType::string);
    text.length = 2;
    CHECK(encode(text, std::string("ABCDE")).error != "");
    CHECK(encode(text, std::string("ABC")).words == Words{0x4142, 0x4300});
    RegisterFormat invalid = format(RegisterType::uint16);
    invalid.invalid.push_back(std::int64_t{65535});
    CHECK(encode(invalid, std::int64_t{65535}).error != "");
}

TEST_CASE("a value between two steps is rounded to the nearer one") {
    const RegisterFormat f = scaled(RegisterType::int16, 0.1);
    CHECK(encode(f, 21.57).words == Words{216});
    CHECK(encode(f, -21.55).words == Words{static_cast<std::uint16_t>(-216)});
    CHECK(encode(scaled(RegisterType::int16, 0.1, -40), 25.4).words == Words{654});
}

TEST_CASE("a bit or mask is written into what is there") {
    RegisterFormat bit = format(RegisterType::uint16);
    bit.bit = 3;
    CHECK(encode(bit, true, Words{0xF000}).words == Words{0xF008});
    CHECK(encode(bit, false, Words{0xFFFF}).words == Words{0xFFF7});
    CHECK(encode(bit, true).error != "");
    RegisterFormat mask = format(RegisterType::uint16);
    mask.mask = 0x0FF0;
    CHECK(encode(mask, std::int64_t{0x12}, Words{0xABCD}).words == Words{0xA12D});
    CHECK(encode(mask, std::int64_t{0x100}, Words{0xABCD}).error != "");
}

TEST_CASE("a signed type under a mask takes its sign from the mask's highest bit, both ways") {
    RegisterFormat high = format(RegisterType::int16);
    high.mask = 0xFF00;
    CHECK(decode(high, Words{0xF619}).value == RegisterValue(std::int64_t{-10}));
    CHECK(decode(high, Words{0x7F19}).value == RegisterValue(std::int64_t{127}));
    CHECK(encode(high, std::int64_t{-10}, Words{0x1219}).words == Words{0xF619});
    CHECK(encode(high, std::int64_t{-128}, Words{0x1219}).words == Words{0x8019});
    CHECK(encode(high, std::int64_t{-129}, Words{0x1219}).error ==
          "the registers would have to hold -129, but int16 with this mask holds -128 to 127");
    CHECK(encode(high, std::int64_t{128}, Words{0x1219}).error != "");
    high.scale = Decimal{1, -1};
    CHECK(decode(high, Words{0xF619}).value == RegisterValue(-1.0));
    CHECK(encode(high, -1.0, Words{0x0019}).words == Words{0xF619});

    RegisterFormat middle = format(RegisterType::int32);
    middle.mask = 0x00FFFF00;
    CHECK(decode(middle, Words{0x12FF, 0xFE34}).value == RegisterValue(std::int64_t{-2}));
    CHECK(encode(middle, std::int64_t{-2}, Words{0x1200, 0x0034}).words == Words{0x12FF, 0xFE34});
    RegisterFormat all = format(RegisterType::int64);
    all.mask = ~std::uint64_t{0};
    CHECK(decode(all, Words{0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE}).value == RegisterValue(std::int64_t{-2}));
    RegisterFormat plain = format(RegisterType::uint16);
    plain.mask = 0xFF00;
    CHECK(decode(plain, Words{0xF619}).value == RegisterValue(std::int64_t{246}));
}
