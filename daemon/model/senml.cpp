// SPDX-License-Identifier: Apache-2.0
#include "model/senml.hpp"

#include "things_utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace things {

namespace {

// The last second of the year 9999: what other software can still print.
constexpr std::int64_t last_ms = 253'402'300'799'000;

// Sorted by byte value, for a binary search.
constexpr std::array primary_units = std::to_array<std::string_view>(
    {"%",   "%EL",   "%RH", "/",     "1/min", "1/s", "A",   "B",   "Bq",   "Bspl", "C",        "Cel",
     "EL",  "F",     "Gy",  "H",     "Hz",    "J",   "J/m", "K",   "N",    "NTU",  "Ohm",      "Pa",
     "S",   "S/m",   "Sv",  "T",     "V",     "VA",  "VAs", "W",   "W/m2", "Wb",   "beat/min", "beats",
     "bit", "bit/s", "cd",  "cd/m2", "count", "dB",  "dBW", "deg", "g",    "kat",  "kg",       "kg/m3",
     "l",   "l/s",   "lat", "lm",    "lon",   "lx",  "m",   "m/s", "m/s2", "m2",   "m3",       "m3/s",
     "mol", "pH",    "rad", "s",     "sr",    "var", "vars"});

constexpr std::array secondary_units = std::to_array<std::string_view>(
    {"/100", "/1000", "Ah",   "B/s",  "GB",    "KiB", "MB/s", "MHz",   "Mbit/s", "VAh",
     "Wh",   "Wh/km", "cm",   "dBm",  "g/l",   "h",   "hPa",  "kVA",   "kVAh",   "kW",
     "kWh",  "km",    "km/h", "kvar", "kvarh", "m/h", "mA",   "mV",    "mg/l",   "min",
     "mm",   "mm/h",  "ms",   "ppb",  "ppm",   "ppt", "ug/l", "ug/m3", "varh"});

static_assert(std::is_sorted(primary_units.begin(), primary_units.end()));
static_assert(std::is_sorted(secondary_units.begin(), secondary_units.end()));

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

char* put(char* to, std::string_view text) {
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

char* put_integer(char* to, auto number) {
    return std::to_chars(to, to + 24, number).ptr;
}

char* put_escape(char* to, char c) {
    static constexpr std::string_view letters = "btn_fr"; // of 0x08 to 0x0D; 0x0B has none
    static constexpr std::string_view hex = "0123456789abcdef";
    *to++ = '\\';
    if (c == '"' || c == '\\') {
        *to++ = c;
    } else if (c >= 0x08 && c <= 0x0D && c != 0x0B) {
        *to++ = letters[static_cast<std::size_t>(c - 0x08)];
    } else {
        to = put(to, "u00");
        *to++ = hex[static_cast<std::size_t>(c) >> 4];
        *to++ = hex[static_cast<std::size_t>(c) & 15];
    }
    return to;
}

/// Writes the text as the inside of a JSON string; at most six bytes for each of the text.
char* put_escaped(char* to, std::string_view text) {
    while (!text.empty()) {
        const auto c = static_cast<unsigned char>(text.front());
        std::size_t length = 1;
        if (c < 0x20 || c == '"' || c == '\\') {
            to = put_escape(to, text.front());
        } else if (c < 0x80) {
            *to++ = text.front();
        } else if ((length = utf8_length(text)) > 0) {
            to = put(to, text.substr(0, length));
        } else {
            to = put(to, "\xEF\xBF\xBD"); // U+FFFD for each byte that fits nowhere
            length = 1;
        }
        text.remove_prefix(length);
    }
    return to;
}

/// 1.2345678901234567e-02 as 12345678901234567e-18: the mantissa below 19 characters that RFC 8428 asks for.
char* put_long_number(char* to, double number) {
    std::array<char, 32> text{};
    const auto end =
        std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::scientific);
    const std::string_view all(text.data(), static_cast<std::size_t>(end.ptr - text.data()));
    const std::size_t e = all.find('e');
    int exponent = 0;
    const std::size_t digits = e + (all[e + 1] == '+' ? 2 : 1);
    std::from_chars(text.data() + digits, end.ptr, exponent);
    const std::size_t point = all.find('.');
    if (point < e) {
        exponent -= static_cast<int>(e - point - 1);
        to = put(to, all.substr(0, point));
        to = put(to, all.substr(point + 1, e - point - 1));
    } else {
        to = put(to, all.substr(0, e));
    }
    *to++ = 'e';
    return put_integer(to, exponent);
}

/// A number of at most three decimals, as nearly every reading is, at a fraction of the cost of the general
/// way: the first integer that gives the number when divided by 10, 100 or 1000 has its digits. Null if it is
/// no such number.
char* put_few_decimals(char* to, double number) {
    const double size = std::abs(number);
    if (!(size >= 0.01 && size < 1e6))
        return nullptr;
    std::uint32_t power = 10;
    for (std::size_t decimals = 1; decimals <= 3; ++decimals, power *= 10) {
        // Rounded wrongly it is not the number, as the next line finds; lround() costs more than all of this.
        // NOLINTNEXTLINE(bugprone-incorrect-roundings)
        const auto digits = static_cast<std::uint32_t>(size * power + 0.5);
        if (static_cast<double>(digits) / power != size)
            continue;
        if (digits % 10 == 0)
            return nullptr; // an integer, which may be shorter with an exponent
        if (number < 0)
            *to++ = '-';
        to = put_integer(to, digits / power);
        *to = '.';
        std::uint32_t rest = digits % power;
        for (std::size_t at = decimals; at > 0; --at, rest /= 10)
            to[at] = static_cast<char>('0' + rest % 10);
        return to + decimals + 1;
    }
    return nullptr;
}

/// The shortest text that reads back as the same double.
char* put_number(char* to, double number) {
    if (char* const simple = put_few_decimals(to, number))
        return simple;
    char* const end = std::to_chars(to, to + 32, number).ptr;
    char* const e = std::find(to, end, 'e');
    if (e - to >= 19)
        return put_long_number(to, number);
    if (e == end)
        return end;
    // to_chars writes e+23 and e-05
    char* out = e + 1;
    const char* in = e + 1;
    if (*in == '-')
        ++out;
    ++in;
    while (*in == '0' && in + 1 < end)
        ++in;
    const auto rest = static_cast<std::size_t>(end - in);
    std::memmove(out, in, rest);
    return out + rest;
}

/// Milliseconds as seconds, with as many decimals as needed.
char* put_seconds(char* to, std::int64_t ms) {
    auto rest = static_cast<std::uint64_t>(ms);
    if (ms < 0) {
        *to++ = '-';
        rest = 0 - rest;
    }
    to = put_integer(to, rest / 1000);
    const auto fraction = static_cast<unsigned>(rest % 1000);
    if (fraction == 0)
        return to;
    *to++ = '.';
    *to++ = static_cast<char>('0' + fraction / 100);
    if (fraction % 100 != 0)
        *to++ = static_cast<char>('0' + fraction / 10 % 10);
    if (fraction % 10 != 0)
        *to++ = static_cast<char>('0' + fraction % 10);
    return to;
}

char* put_value(char* to, const Value& value) {
    switch (value.index()) {
    case 0:
        return put(to, std::get<bool>(value) ? R"(,"vb":true)" : R"(,"vb":false)");
    case 1:
        return put_integer(put(to, R"(,"v":)"), std::get<std::int64_t>(value));
    case 2:
        return put_integer(put(to, R"(,"v":)"), std::get<std::uint64_t>(value));
    case 3:
        return put_number(put(to, R"(,"v":)"), std::get<double>(value));
    default:
        to = put_escaped(put(to, R"(,"vs":")"), std::get<std::string>(value));
        *to++ = '"';
        return to;
    }
}

std::string escaped(std::string_view text) {
    std::string out(text.size() * 6, '\0');
    out.resize(static_cast<std::size_t>(put_escaped(out.data(), text) - out.data()));
    return out;
}

} // namespace

UnitKind find_unit(std::string_view unit) {
    if (std::binary_search(primary_units.begin(), primary_units.end(), unit))
        return UnitKind::primary;
    if (std::binary_search(secondary_units.begin(), secondary_units.end(), unit))
        return UnitKind::secondary;
    return UnitKind::unknown;
}

bool is_senml_name(std::string_view name) {
    return !name.empty() && name.size() <= longest_senml_name &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_alphanumeric(c) || std::string_view("-:./_").find(c) != std::string_view::npos;
           });
}

std::string senml_base_name(std::string_view dvnuuid) {
    return std::string("urn:dev:DVNUUID:").append(dvnuuid).append(":");
}

SenmlSeries make_senml_series(std::string_view name, std::string_view unit) {
    // A unit that the registry does not have is the configuration's business: what was read is sent.
    const bool is_unit_printable = unit.size() <= 32 && std::all_of(unit.begin(), unit.end(), [](char c) {
                                       return c > 0x20 && c < 0x7F;
                                   });
    if (!is_senml_name(name))
        return {{}, "the name \"" + escaped(name.substr(0, 64)) + "\" is not a SenML name"};
    if (!is_unit_printable)
        return {{}, "the unit of " + std::string(name) + " is not a SenML unit"};
    std::string members = R"("n":")" + std::string(name) + '"';
    if (!unit.empty())
        members += R"(,"u":")" + escaped(unit) + '"';
    return {std::move(members), {}};
}

std::string_view find_senml_refusal(const Value& value, std::int64_t wall_ms) {
    if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number))
        return "not a finite number";
    if (wall_ms < senml_first_absolute_ms)
        return "taken before 1978: the clock was wrong";
    if (wall_ms > last_ms)
        return "taken after the year 9999: the clock was wrong";
    return {};
}

void SenmlWriter::begin(std::string_view base_name) {
    base_name_ = escaped(base_name);
    length_ = 0;
    is_empty_ = true;
}

char* SenmlWriter::reserve(std::size_t bytes) {
    if (buffer_.size() < length_ + bytes)
        buffer_.resize(std::max(length_ + bytes, 2 * buffer_.size()));
    return buffer_.data() + length_;
}

bool SenmlWriter::add(std::string_view members, std::int64_t wall_ms, const Value& value,
                      std::size_t max_bytes) {
    const auto* text = std::get_if<std::string>(&value);
    const std::size_t longest =
        128 + base_name_.size() + members.size() + (text != nullptr ? text->size() * 6 : 0);
    // For the worst case at once, so that nothing below has to look at the end of the buffer: six bytes for
    // each of a text, 128 for numbers and punctuation.
    char* to = reserve(longest);
    if (is_empty_) {
        to = put(put(put(to, R"([{"bn":")"), base_name_), R"(","bt":)");
        to = put_seconds(to, wall_ms);
        *to++ = ',';
        to = put(to, members);
    } else {
        to = put(put(to, ",{"), members);
        if (wall_ms != base_ms_)
            to = put_seconds(put(to, R"(,"t":)"), wall_ms - base_ms_);
    }
    to = put_value(to, value);
    *to++ = '}';
    const auto length = static_cast<std::size_t>(to - buffer_.data());
    // One byte is for the closing bracket. The first record goes in whatever it takes, or it never would.
    if (!is_empty_ && length + 1 > max_bytes)
        return false;
    if (is_empty_)
        base_ms_ = wall_ms;
    is_empty_ = false;
    length_ = length;
    return true;
}

std::string_view SenmlWriter::finish() {
    *reserve(1) = ']';
    return {buffer_.data(), length_ + 1};
}

} // namespace things
