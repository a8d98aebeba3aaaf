// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_value.hpp"

#include "modbus/register_bits.hpp"
#include "things_utf8.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace things {

namespace {

struct TypeRow {
    const char* name;
    unsigned bits; // of integers
    std::uint16_t registers;
    bool is_signed;
};
constexpr std::array<TypeRow, 14> types{{{"bool", 16, 1, false},
                                         {"int16", 16, 1, true},
                                         {"uint16", 16, 1, false},
                                         {"int32", 32, 2, true},
                                         {"uint32", 32, 2, false},
                                         {"int64", 64, 4, true},
                                         {"uint64", 64, 4, false},
                                         {"float32", 0, 2, true},
                                         {"float64", 0, 4, true},
                                         {"bcd16", 16, 1, false},
                                         {"bcd32", 32, 2, false},
                                         {"string", 0, 0, false},
                                         {"int8", 8, 1, true},
                                         {"uint8", 8, 1, false}}};
constexpr std::array<const char*, 4> orders{"ABCD", "CDAB", "BADC", "DCBA"};

const TypeRow& row(RegisterType type) {
    return types[static_cast<std::size_t>(type)];
}

WideInteger sign_extended(std::uint64_t bits, unsigned width) {
    const std::uint64_t sign = std::uint64_t{1} << (width - 1);
    return (bits & sign) != 0 ? static_cast<WideInteger>(bits) - (WideInteger{1} << width)
                              : static_cast<WideInteger>(bits);
}

bool is_bcd(RegisterType type) {
    return type == RegisterType::bcd16 || type == RegisterType::bcd32;
}
bool is_float(RegisterType type) {
    return type == RegisterType::float32 || type == RegisterType::float64;
}

std::optional<WideInteger> from_bcd(std::uint64_t bits, unsigned width) {
    WideInteger value = 0;
    for (unsigned shift = width; shift > 0; shift -= 4) {
        const unsigned digit = bits >> (shift - 4) & 0xF;
        if (digit > 9)
            return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

RegisterValue integer_value(WideInteger value, RegisterType type) {
    if (type == RegisterType::uint64 || value > INT64_MAX)
        return static_cast<std::uint64_t>(value);
    return static_cast<std::int64_t>(value);
}

bool is_one(Decimal value) {
    return value.mantissa == 1 && value.exponent == 0;
}

// raw x scale x 10^power + offset without a rounding error before the last step.
RegisterValue scaled(const RegisterFormat& format, WideInteger raw, int power) {
    if (is_one(format.scale) && format.offset.mantissa == 0 && power == 0)
        return integer_value(raw, format.type);
    auto result = multiply(decimal_of(raw), {format.scale.mantissa, format.scale.exponent + power});
    if (result && format.offset.mantissa != 0)
        result = add(*result, format.offset);
    if (!result) {
        const double factor = to_double({format.scale.mantissa, format.scale.exponent + power});
        return to_double(decimal_of(raw)) * factor + to_double(format.offset);
    }
    if (const auto whole = to_integer(*result); whole && *whole >= INT64_MIN)
        return integer_value(*whole, *whole > INT64_MAX ? RegisterType::uint64 : RegisterType::int64);
    return to_double(*result);
}

// A float becomes the double nearest to its own shortest decimal: 21.3f is 21.3, not 21.299999237060547.
double widened(float value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    double result = 0;
    std::from_chars(text.data(), end, result);
    return result;
}

double float_of(RegisterType type, std::uint64_t bits) {
    if (type == RegisterType::float64)
        return std::bit_cast<double>(bits);
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    return std::isfinite(value) ? widened(value) : static_cast<double>(value);
}

Decoded decode_float(const RegisterFormat& format, std::uint64_t bits, int power) {
    const double raw = float_of(format.type, bits);
    if (std::isnan(raw))
        return {{}, "NaN, which is how the device says that there is no value"};
    if (!std::isfinite(raw))
        return {{}, "infinity, which is no value"};
    for (const RegisterValue& invalid : format.invalid)
        if (const auto* number = std::get_if<double>(&invalid); number && *number == raw)
            return {{}, "a value that is configured as invalid"};
    if (is_one(format.scale) && format.offset.mantissa == 0 && power == 0)
        return {raw, nullptr};
    const auto product = multiply(decimal_of(raw), {format.scale.mantissa, format.scale.exponent + power});
    const auto sum = product ? add(*product, format.offset) : std::nullopt;
    const double value = sum ? to_double(*sum)
                             : raw * to_double({format.scale.mantissa, format.scale.exponent + power}) +
                                   to_double(format.offset);
    if (!std::isfinite(value))
        return {{}, "a value that is too large once scaled"};
    return {value, nullptr};
}

// Bytes that are no UTF-8 or no text become '?': the text must survive JSON, and a sensor's serial number is
// ASCII.
std::string cleaned(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const auto lead = static_cast<unsigned char>(text.front());
        const std::size_t length = lead < 0x20 || lead == 0x7F ? 0 : utf8_length(text);
        result.append(length == 0 ? std::string_view("?") : text.substr(0, length));
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

Decoded decode_string(const RegisterFormat& format, std::span<const std::uint16_t> words) {
    std::string text;
    for (std::uint16_t word : words) {
        const std::uint16_t pair = swaps_bytes(format.order) ? swapped(word) : word;
        text.push_back(static_cast<char>(pair >> 8));
        text.push_back(static_cast<char>(pair & 0xFF));
    }
    text.resize(std::min(text.size(), text.find('\0')));
    while (!text.empty() && text.back() == ' ')
        text.pop_back();
    text.erase(0, text.find_first_not_of(' ') == std::string::npos ? 0 : text.find_first_not_of(' '));
    text = cleaned(text);
    for (const RegisterValue& invalid : format.invalid)
        if (const auto* other = std::get_if<std::string>(&invalid); other && *other == text)
            return {{}, "a text that is configured as invalid"};
    return {text, nullptr};
}

bool is_invalid(const RegisterFormat& format, WideInteger raw) {
    for (const RegisterValue& invalid : format.invalid) {
        if (const auto* number = std::get_if<std::int64_t>(&invalid); number && *number == raw)
            return true;
        if (const auto* number = std::get_if<std::uint64_t>(&invalid);
            number && static_cast<WideInteger>(*number) == raw)
            return true;
    }
    return false;
}

} // namespace

const char* type_name(RegisterType type) {
    return row(type).name;
}

std::optional<RegisterType> type_of(std::string_view name) {
    for (std::size_t i = 0; i < types.size(); ++i)
        if (name == types[i].name)
            return static_cast<RegisterType>(i);
    return std::nullopt;
}

const char* order_name(RegisterOrder order) {
    return orders[static_cast<std::size_t>(order)];
}

std::optional<RegisterOrder> order_of(std::string_view name) {
    for (std::size_t i = 0; i < orders.size(); ++i)
        if (name == orders[i])
            return static_cast<RegisterOrder>(i);
    return std::nullopt;
}

std::uint16_t register_count(const RegisterFormat& format) {
    return format.type == RegisterType::string ? format.length : row(format.type).registers;
}

unsigned integer_bits(RegisterType type) {
    return row(type).bits;
}

unsigned field_bits(const RegisterFormat& format) {
    return format.mask == 0 ? integer_bits(format.type)
                            : static_cast<unsigned>(std::bit_width(format.mask)) -
                                  static_cast<unsigned>(std::countr_zero(format.mask));
}

bool is_signed(RegisterType type) {
    return row(type).is_signed;
}

bool needs_current(const RegisterFormat& format) {
    return format.bit || format.mask != 0;
}

Decoded decode(const RegisterFormat& format, std::span<const std::uint16_t> words, int power) {
    words = words.first(register_count(format));
    if (format.type == RegisterType::string)
        return decode_string(format, words);
    std::uint64_t bits = bits_of(format.order, words);
    if (is_float(format.type))
        return decode_float(format, bits, power);
    const unsigned width = integer_bits(format.type);
    bits &= all_ones(width); // eight bits lie in a word of sixteen
    WideInteger raw = is_signed(format.type) ? sign_extended(bits, width) : static_cast<WideInteger>(bits);
    if (!format.invalid.empty() && is_invalid(format, raw))
        return {{}, "a value that is configured as invalid"};
    if (format.bit)
        return {(bits >> *format.bit & 1) != 0, nullptr};
    if (format.type == RegisterType::boolean)
        return {(format.mask != 0 ? bits & format.mask : bits) != 0, nullptr};
    if (format.mask != 0) {
        const std::uint64_t field = (bits & format.mask) >> std::countr_zero(format.mask);
        raw = is_signed(format.type) ? sign_extended(field, field_bits(format))
                                     : static_cast<WideInteger>(field);
    } else if (is_bcd(format.type)) {
        const auto digits = from_bcd(bits, width);
        if (!digits)
            return {{}, "something that is no BCD number"};
        raw = *digits;
    }
    return {scaled(format, raw, power), nullptr};
}

std::optional<RegisterValue> fit_invalid(const RegisterFormat& format, const RegisterValue& value) {
    if (format.type == RegisterType::string)
        return std::holds_alternative<std::string>(value) ? std::optional(value) : std::nullopt;
    if (is_float(format.type)) {
        if (const auto* number = std::get_if<double>(&value))
            return *number;
        if (const auto* integer = std::get_if<std::int64_t>(&value))
            return static_cast<double>(*integer);
        if (const auto* text = std::get_if<std::string>(&value); text && (*text == "nan" || *text == "NaN"))
            return std::nan("");
        return std::nullopt;
    }
    WideInteger number = 0;
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        number = *integer;
    else if (const auto* big = std::get_if<std::uint64_t>(&value))
        number = static_cast<WideInteger>(*big);
    else
        return std::nullopt;
    const unsigned width = integer_bits(format.type);
    const WideInteger lowest = is_signed(format.type) ? -(WideInteger{1} << (width - 1)) : 0;
    if (number < lowest || number > static_cast<WideInteger>(all_ones(width)))
        return std::nullopt;
    if (is_signed(format.type) && number >= 0)
        number = sign_extended(static_cast<std::uint64_t>(number), width);
    return integer_value(number, format.type);
}

} // namespace things
