// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_bits.hpp"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <charconv>
#include <cmath>

// The way down: a value becomes registers, or a reason why it cannot. Never wraps, never clips.
namespace things {

namespace {

std::uint64_t to_bcd(WideInteger value) {
    std::uint64_t bits = 0;
    for (unsigned shift = 0; value != 0; shift += 4, value /= 10)
        bits |= static_cast<std::uint64_t>(value % 10) << shift;
    return bits;
}

Encoded refused(std::string why) {
    return {{}, std::move(why)};
}

std::string text_of(WideInteger value) {
    std::string digits;
    const bool negative = value < 0;
    do {
        digits.push_back(static_cast<char>('0' + static_cast<int>(negative ? -(value % 10) : value % 10)));
        value /= 10;
    } while (value != 0);
    if (negative)
        digits.push_back('-');
    std::reverse(digits.begin(), digits.end());
    return digits;
}

/// The exact value; nothing for texts and values that are no numbers.
std::optional<Decimal> exact(const RegisterValue& value) {
    if (const auto* flag = std::get_if<bool>(&value))
        return decimal_of(WideInteger{*flag ? 1 : 0});
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        return decimal_of(WideInteger{*integer});
    if (const auto* big = std::get_if<std::uint64_t>(&value))
        return decimal_of(static_cast<WideInteger>(*big));
    if (const auto* number = std::get_if<double>(&value); number && std::isfinite(*number))
        return decimal_of(*number);
    return std::nullopt;
}

struct Range {
    WideInteger lowest = 0, highest = 0;
};

// What the raw number may be: the field of a mask, the digits of BCD, or all of the type.
Range raw_range(const RegisterFormat& format) {
    const unsigned width = field_bits(format);
    if (format.type == RegisterType::bcd16)
        return {0, 9999};
    if (format.type == RegisterType::bcd32)
        return {0, 99999999};
    if (is_signed(format.type))
        return {-(WideInteger{1} << (width - 1)), (WideInteger{1} << (width - 1)) - 1};
    return {0, (WideInteger{1} << width) - 1};
}

Encoded encode_bool(const RegisterFormat& format, const RegisterValue& value,
                    std::span<const std::uint16_t> current) {
    const auto number = exact(value);
    if (!number || number->exponent != 0 || number->mantissa < 0 || number->mantissa > 1)
        return refused("only true, false, 1 and 0 can be written here");
    const bool on = number->mantissa == 1;
    const std::size_t count = register_count(format);
    std::uint64_t bits = on ? 1 : 0;
    if (format.bit || format.mask != 0) {
        const std::uint64_t field = format.bit ? std::uint64_t{1} << *format.bit : format.mask;
        bits = bits_of(format.order, current.first(count));
        bits = on ? bits | field : bits & ~field;
    }
    return {words_of(format.order, bits, count), ""};
}

Encoded encode_string(const RegisterFormat& format, const RegisterValue& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (!text)
        return refused("only a text can be written here");
    if (text->find('\0') != std::string::npos)
        return refused("a text with a zero character cannot be written");
    const std::size_t room = std::size_t{2} * format.length;
    if (text->size() > room)
        return refused("the text has " + std::to_string(text->size()) + " bytes, the registers hold " +
                       std::to_string(room));
    Encoded result;
    for (std::size_t i = 0; i < room; i += 2) {
        const auto at = [text](std::size_t k) {
            return k < text->size() ? static_cast<unsigned char>((*text)[k]) : 0U;
        };
        const auto word = static_cast<std::uint16_t>(at(i) << 8 | at(i + 1));
        result.words.push_back(swaps_bytes(format.order) ? swapped(word) : word);
    }
    return result;
}

Encoded encode_float(const RegisterFormat& format, const RegisterValue& value, int power) {
    const auto number = exact(value);
    if (!number)
        return refused("only a number can be written here");
    double raw = to_double(*number);
    if (format.offset.mantissa != 0) {
        const auto difference = add(*number, {-format.offset.mantissa, format.offset.exponent});
        raw = difference ? to_double(*difference) : raw - to_double(format.offset);
    }
    raw /= to_double({format.scale.mantissa, format.scale.exponent + power});
    if (!std::isfinite(raw) || (format.type == RegisterType::float32 && std::fabs(raw) > double{FLT_MAX}))
        return refused(std::string("the number is too large for ") + type_name(format.type));
    const std::uint64_t bits = format.type == RegisterType::float32
                                   ? std::bit_cast<std::uint32_t>(static_cast<float>(raw))
                                   : std::bit_cast<std::uint64_t>(raw);
    return {words_of(format.order, bits, register_count(format)), ""};
}

// The inverse of scale and offset, rounded to the nearest; nothing if it has more than 38 digits.
std::optional<WideInteger> raw_number(const RegisterFormat& format, Decimal value, int power) {
    const auto difference = add(value, {-format.offset.mantissa, format.offset.exponent});
    if (!difference)
        return std::nullopt;
    return divide_to_integer(*difference, {format.scale.mantissa, format.scale.exponent + power});
}

Encoded encode_integer(const RegisterFormat& format, const RegisterValue& value,
                       std::span<const std::uint16_t> current, int power) {
    const auto number = exact(value);
    if (!number)
        return refused("only a number can be written here");
    const auto [lowest, highest] = raw_range(format);
    const WideInteger raw = raw_number(format, *number, power).value_or(highest + 1);
    if (raw < lowest || raw > highest)
        return refused("the registers would have to hold " + text_of(raw) + ", but " +
                       type_name(format.type) + (format.mask != 0 ? " with this mask" : "") + " holds " +
                       text_of(lowest) + " to " + text_of(highest));
    const unsigned width = field_bits(format);
    const WideInteger two_to_width = WideInteger{1} << width;
    auto bits = static_cast<std::uint64_t>(raw < 0 ? raw + two_to_width : raw);
    if (format.mask != 0) {
        bits <<= std::countr_zero(format.mask);
        if ((bits & ~format.mask) != 0)
            return refused("the mask has a hole where this number has a bit");
        bits |= bits_of(format.order, current.first(register_count(format))) & ~format.mask;
    } else if (format.type == RegisterType::bcd16 || format.type == RegisterType::bcd32) {
        bits = to_bcd(raw);
    }
    return {words_of(format.order, bits, register_count(format)), ""};
}

} // namespace

Encoded encode(const RegisterFormat& format, const RegisterValue& value,
               std::span<const std::uint16_t> current, int power) {
    Encoded result;
    if (needs_current(format) && current.size() < register_count(format))
        return refused("the registers around it could not be read");
    if (format.type == RegisterType::string)
        result = encode_string(format, value);
    else if (format.type == RegisterType::boolean || format.bit)
        result = encode_bool(format, value, current);
    else if (integer_bits(format.type) == 0)
        result = encode_float(format, value, power);
    else
        result = encode_integer(format, value, current, power);
    if (result.error.empty())
        if (const Decoded back = decode(format, result.words, power); back.why_not)
            return refused(std::string("it would be stored as ") + back.why_not);
    return result;
}

} // namespace things
