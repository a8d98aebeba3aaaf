// SPDX-License-Identifier: Apache-2.0
#include "serial/point_value.hpp"

#include "serial/escaped_text.hpp"

#include "link/printed_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace things {

namespace {

PointValue to_value(const Amount& amount) {
    if (const auto* whole = std::get_if<std::int64_t>(&amount))
        return *whole;
    return std::get<double>(amount);
}

bool equals_word(std::string_view text, std::string_view word) {
    return std::equal(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

std::optional<bool> read_boolean(std::string_view text) {
    for (std::string_view word : {"1", "true", "on", "yes", "open", "high"})
        if (equals_word(text, word))
            return true;
    for (std::string_view word : {"0", "false", "off", "no", "closed", "low"})
        if (equals_word(text, word))
            return false;
    return std::nullopt;
}

std::optional<double> parse_double(std::string_view text) {
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool is_whole_text = error == std::errc() && end == text.data() + text.size();
    return is_whole_text && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

bool is_invalid(std::string_view text, const PointRules& rules) {
    std::optional<double> number = parse_double(text.substr(!text.empty() && text.front() == '+' ? 1 : 0));
    return std::any_of(rules.invalid.begin(), rules.invalid.end(),
                       [&text, &number](const std::string& invalid) {
                           std::optional<double> other = parse_double(invalid);
                           return text == invalid || (number && other && *number == *other);
                       });
}

Extracted unreadable(std::string_view seen) {
    return {Extracted::Outcome::unreadable, {}, std::string(seen.substr(0, 80))};
}

/// Degrees and minutes in one number, and the half of the earth: "5204.1234,N" is 52 + 4.1234 / 60.
std::optional<double> read_degrees(std::string_view text) {
    constexpr std::string_view halves = "NESW";
    std::size_t half = halves.find(text.back());
    if (half == std::string_view::npos)
        return std::nullopt;
    text.remove_suffix(1);
    while (!text.empty() && (text.back() == ',' || text.back() == ' ' || text.back() == ';'))
        text.remove_suffix(1);
    std::optional<double> number =
        text.empty() || text.front() < '0' || text.front() > '9' ? std::nullopt : parse_double(text);
    if (!number)
        return std::nullopt;
    double whole = std::floor(*number / 100), minutes = *number - whole * 100;
    double degrees = std::round((whole + minutes / 60) * 1e7) / 1e7; // a centimetre
    if (minutes >= 60 || degrees > 180)
        return std::nullopt;
    return half >= 2 ? -degrees : degrees;
}

/// The bytes in order ABCD.
std::uint64_t gather(std::string_view bytes, ByteOrder order) {
    std::uint64_t value = 0;
    std::size_t count = bytes.size();
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t at = i;
        if (count > 1 && (order == ByteOrder::cdab || order == ByteOrder::dcba)) // low word first
            at = count - 2 - (i & ~std::size_t{1}) + (i & 1U);
        if (count > 1 && (order == ByteOrder::badc || order == ByteOrder::dcba)) // bytes of a word swapped
            at ^= 1U;
        value = (value << 8U) | static_cast<unsigned char>(bytes[at]);
    }
    return value;
}

PointValue scaled_real(double real, Decimal digits, const PointRules& rules) {
    return scaled(digits, real, rules.scale, rules.offset);
}

Extracted from_real(std::uint64_t bits, const PointRules& rules) {
    double real = 0;
    // Room for any double in fixed notation: "-0.", 323 zeros and 17 digits.
    std::array<char, 400> digits{};
    std::to_chars_result end{};
    if (rules.type == ValueType::float32) {
        float single = 0;
        auto low = static_cast<std::uint32_t>(bits);
        std::memcpy(&single, &low, sizeof single);
        real = static_cast<double>(single);
        end = std::to_chars(digits.data(), digits.data() + digits.size(), single, std::chars_format::fixed);
    } else {
        std::memcpy(&real, &bits, sizeof real);
        end = std::to_chars(digits.data(), digits.data() + digits.size(), real, std::chars_format::fixed);
    }
    if (!std::isfinite(real))
        return {Extracted::Outcome::unusable, {}, {}}; // NaN: the usual "not available"
    // 23.4 in four bytes is to be 23.4, not 23.399999618530273.
    std::string_view text(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()));
    if (is_invalid(text, rules))
        return {Extracted::Outcome::unusable, {}, {}};
    std::optional<Decimal> decimal = parse_decimal(text);
    if (decimal)
        return {Extracted::Outcome::value, scaled_real(real, *decimal, rules), {}};
    return {Extracted::Outcome::value, real * rules.scale + rules.offset, {}};
}

Extracted from_integer(std::uint64_t bits, const PointRules& rules) {
    std::size_t size = byte_size(rules.type) * 8;
    if (rules.bit) {
        bool is_set = ((bits >> *rules.bit) & 1U) != 0;
        return {Extracted::Outcome::value, is_set, {}};
    }
    bool is_signed = rules.type == ValueType::int8 || rules.type == ValueType::int16 ||
                     rules.type == ValueType::int32 || rules.type == ValueType::int64;
    if (!is_signed && bits > static_cast<std::uint64_t>(INT64_MAX)) {
        if (is_invalid(std::to_string(bits), rules))
            return {Extracted::Outcome::unusable, {}, {}};
        if (rules.scale == 1 && rules.offset == 0)
            return {Extracted::Outcome::value, bits, {}};
        return {Extracted::Outcome::value, static_cast<double>(bits) * rules.scale + rules.offset, {}};
    }
    std::int64_t whole = static_cast<std::int64_t>(bits);
    if (is_signed && size < 64 && ((bits >> (size - 1)) & 1U) != 0)
        whole -= std::int64_t{1} << size;
    if (is_invalid(std::to_string(whole), rules))
        return {Extracted::Outcome::unusable, {}, {}};
    return {Extracted::Outcome::value,
            scaled({whole, 0}, static_cast<double>(whole), rules.scale, rules.offset),
            {}};
}

/// The value of bytes of a binary type.
Extracted from_binary(std::string_view bytes, const PointRules& rules) {
    std::uint64_t bits = gather(bytes, rules.order);
    bool is_real = rules.type == ValueType::float32 || rules.type == ValueType::float64;
    return is_real ? from_real(bits, rules) : from_integer(bits, rules);
}

/// "FFE0", "0x1f": leading zeros may be left out.
Extracted from_hex(std::string_view text, const PointRules& rules) {
    bool is_none = std::find(rules.invalid.begin(), rules.invalid.end(), text) != rules.invalid.end();
    if (text.empty() || is_none)
        return {Extracted::Outcome::unusable, {}, {}};
    std::string_view digits = text;
    if (digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        digits.remove_prefix(2);
    std::uint64_t bits = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
    std::size_t width = rules.type == ValueType::number ? 8 : byte_size(rules.type);
    bool fits = width == 8 || bits >> (8 * width) == 0;
    if (error != std::errc() || end != digits.data() + digits.size() || !fits)
        return unreadable(text);
    std::string bytes;
    for (std::size_t i = width; i-- > 0;)
        bytes += static_cast<char>((bits >> (8 * i)) & 0xffU);
    return from_binary(bytes, rules);
}

/// Text of a capture or a column as the type says.
Extracted from_text(std::string_view text, const PointRules& rules) {
    text = trimmed_blanks(text);
    if (rules.is_hex)
        return from_hex(text, rules);
    if (text.empty() || is_invalid(text, rules))
        return {Extracted::Outcome::unusable, {}, {}};
    if (rules.type == ValueType::string)
        return {Extracted::Outcome::value, to_utf8(text), {}};
    if (rules.type == ValueType::boolean) {
        std::optional<bool> flag = read_boolean(text);
        return flag ? Extracted{Extracted::Outcome::value, *flag, {}} : unreadable(text);
    }
    if (rules.type == ValueType::degrees) {
        std::optional<double> degrees = read_degrees(text);
        return degrees ? Extracted{Extracted::Outcome::value, *degrees, {}} : unreadable(text);
    }
    std::optional<PointValue> number = read_number(text, rules);
    return number ? Extracted{Extracted::Outcome::value, std::move(*number), {}} : unreadable(text);
}

Extracted from_column(std::string_view text, const PointRules& rules) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < *rules.column; ++i) {
        std::size_t end = text.find(rules.separator, begin);
        if (end == std::string_view::npos)
            return {};
        begin = end + rules.separator.size();
    }
    std::size_t end = text.find(rules.separator, begin);
    if (rules.type == ValueType::degrees && end != std::string_view::npos) {
        if (end == begin)
            return {Extracted::Outcome::unusable, {}, {}};              // no fix
        end = text.find(rules.separator, end + rules.separator.size()); // with the column of the half
    }
    std::string_view field = text.substr(begin, end == std::string_view::npos ? end : end - begin);
    // The checksum of an NMEA sentence stands behind its last column.
    if (end == std::string_view::npos && text.size() > 3 && text[text.size() - 3] == '*' &&
        (text[0] == '$' || text[0] == '!'))
        field.remove_suffix(std::min<std::size_t>(3, field.size()));
    return from_text(field, rules);
}

Extracted from_json(const SerialFrame& frame, const PointRules& rules, JsonReader& json) {
    std::optional<JsonValue> found = json.find(frame.text(), rules.pointer);
    if (!found)
        return {};
    if (const auto* text = std::get_if<std::string>(&*found))
        return from_text(*text, rules);
    if (const auto* flag = std::get_if<bool>(&*found))
        return from_text(*flag ? "1" : "0", rules);
    if (const auto* natural = std::get_if<std::uint64_t>(&*found))
        return from_text(std::to_string(*natural), rules);
    if (const auto* whole = std::get_if<std::int64_t>(&*found))
        return from_text(std::to_string(*whole), rules);
    std::array<char, 32> digits{};
    double real = std::get<double>(*found);
    char* end = std::to_chars(digits.data(), digits.data() + digits.size(), real).ptr;
    return from_text({digits.data(), static_cast<std::size_t>(end - digits.data())}, rules);
}

Extracted from_bytes(const SerialFrame& frame, const PointRules& rules) {
    std::size_t size =
        rules.type == ValueType::string ? rules.length : std::max<std::size_t>(byte_size(rules.type), 1);
    if (*rules.byte + size > frame.bytes.size())
        return {};
    std::string_view bytes = std::string_view(frame.bytes).substr(*rules.byte, size);
    if (rules.type == ValueType::string)
        return from_text(bytes.substr(0, bytes.find('\0')), rules);
    if (rules.type == ValueType::boolean) {
        std::uint64_t bits = gather(bytes, rules.order);
        return {Extracted::Outcome::value, rules.bit ? ((bits >> *rules.bit) & 1U) != 0 : bits != 0, {}};
    }
    return from_binary(bytes, rules);
}

} // namespace

std::size_t byte_size(ValueType type) {
    switch (type) {
    case ValueType::int8:
    case ValueType::uint8:
        return 1;
    case ValueType::int16:
    case ValueType::uint16:
        return 2;
    case ValueType::int32:
    case ValueType::uint32:
    case ValueType::float32:
        return 4;
    case ValueType::int64:
    case ValueType::uint64:
    case ValueType::float64:
        return 8;
    case ValueType::number:
    case ValueType::string:
    case ValueType::boolean:
    case ValueType::degrees:
        break;
    }
    return 0;
}

PointValue scaled(Decimal raw, double fallback, double scale, double offset) {
    std::optional<Decimal> product = multiply(raw, decimal_of(scale));
    std::optional<Decimal> sum = product ? add(*product, decimal_of(offset)) : std::nullopt;
    if (sum)
        return to_value(to_amount(*sum));
    return fallback * scale + offset;
}

std::optional<PointValue> read_number(std::string_view text, const PointRules& rules) {
    std::string plain(trimmed_blanks(text));
    // A sign may stand apart from its digits, as on scales.
    if (plain.size() > 1 && (plain[0] == '+' || plain[0] == '-'))
        plain.erase(1, std::min(plain.find_first_not_of(' ', 1), plain.size()) - 1);
    if (!plain.empty() && plain[0] == '+')
        plain.erase(0, 1);
    if (rules.has_decimal_comma) {
        plain.erase(std::remove(plain.begin(), plain.end(), '.'), plain.end()); // thousands
        std::replace(plain.begin(), plain.end(), ',', '.');
    } else if (plain.find(',') != std::string::npos) {
        return std::nullopt;
    }
    if (plain.size() > 1 && plain[0] == '.')
        plain.insert(0, "0"); // .5
    std::optional<double> real = parse_double(plain);
    if (!real || plain.find_first_of("nNiI") != std::string::npos)
        return std::nullopt;
    if (std::optional<Decimal> digits = parse_decimal(plain))
        return scaled(*digits, *real, rules.scale, rules.offset);
    return *real * rules.scale + rules.offset;
}

std::string wanted(const PointRules& rules) {
    if (rules.match)
        return fmt::format("matches `{}`", rules.match->text());
    if (rules.column)
        return fmt::format("has column {} (counted from 0, \"{}\" between them)", *rules.column,
                           escaped(rules.separator));
    if (!rules.pointer.empty())
        return "is JSON with " + rules.pointer;
    std::size_t size =
        rules.type == ValueType::string ? rules.length : std::max<std::size_t>(byte_size(rules.type), 1);
    std::size_t first = rules.byte.value_or(0);
    return size == 1 ? fmt::format("has byte {}", first)
                     : fmt::format("has bytes {} to {}", first, first + size - 1);
}

Extracted extract(const SerialFrame& frame, const PointRules& rules, JsonReader& json) {
    // Of several places the first in this order counts.
    Extracted result;
    if (rules.match) {
        std::optional<std::string_view> found = rules.match->find_in(frame.text());
        if (found)
            result = from_text(*found, rules);
    } else if (rules.column) {
        result = from_column(frame.text(), rules);
    } else if (!rules.pointer.empty()) {
        result = from_json(frame, rules, json);
    } else if (rules.byte) {
        result = from_bytes(frame, rules);
    }
    // A guard tells frames apart, and usable ones from others.
    if (result.outcome != Extracted::Outcome::elsewhere && rules.guard &&
        !rules.guard->is_found_in(frame.text()))
        return {Extracted::Outcome::unusable, {}, {}};
    return result;
}

} // namespace things
