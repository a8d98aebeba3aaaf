// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "serial/frame_reader.hpp"
#include "serial/json_value.hpp"
#include "serial/pattern.hpp"

#include "link/decimal.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What a point takes from a frame: a capture of an expression, a column, a place in JSON, or bytes. Pure but
// for the buffers of the JSON parser.
namespace things {

enum class ValueType : std::uint8_t {
    number,
    string,
    boolean,
    degrees, ///< "5204.1234,N" as NMEA writes positions
    int8,
    uint8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    uint64,
    float32,
    float64
};
[[nodiscard]] std::size_t byte_size(ValueType type); ///< 0: those of texts
/// As in the modbus plugin: abcd has the most significant byte first, cdab the low word, badc and dcba swap
/// the bytes of each word.
enum class ByteOrder : std::uint8_t { abcd, cdab, badc, dcba };

using PointValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

/// One of match, column, pointer and byte is given; of several the first in this order counts. Columns count
/// from 0 within SerialFrame::text(), bytes from 0 within SerialFrame::bytes.
struct PointRules {
    std::optional<Pattern> match;
    std::optional<std::size_t> column, byte;
    std::string separator = ",";
    std::string pointer;          ///< of JSON
    std::optional<Pattern> guard; ///< must be found in the frame
    ValueType type = ValueType::number;
    ByteOrder order = ByteOrder::abcd;
    bool is_hex = false;    ///< what stands in the text; of a binary type it is that type's bytes
    std::size_t length = 0; ///< bytes of a string
    std::optional<unsigned> bit;
    double scale = 1, offset = 0;
    bool has_decimal_comma = false;
    std::vector<std::string> invalid; ///< raw values that mean there is none; numbers are compared as numbers
};

/// `value` of Outcome::value only, `seen` (80 bytes at most) of unreadable only.
struct Extracted {
    enum class Outcome : std::uint8_t {
        value,
        elsewhere, ///< this frame is not about the point
        unusable,  ///< it is, but says that there is no value: guard, empty field, one of `invalid`
        unreadable ///< what stands there is not of the type
    };
    Outcome outcome = Outcome::elsewhere;
    PointValue value;
    std::string seen; ///< what could not be read
};

/// The end of a sentence about frames of which none is about the point: "matches `NET ([0-9.]+)`", "has
/// column 5", "has /a/b", "has bytes 12 to 13".
[[nodiscard]] std::string wanted(const PointRules& rules);
/// Never throws for what a sensor may send. A guard that is not found makes even an unreadable value
/// unusable.
[[nodiscard]] Extracted extract(const SerialFrame& frame, const PointRules& rules, JsonReader& json);
/// "+  12.34", "- 3", "1,5" (with decimal comma), "1.2e-3": a number with blanks around and behind its sign,
/// nothing else. Scaled exactly where the digits allow.
/// With has_decimal_comma points are thousands and are dropped; without it a comma is a mistake. NaN and
/// infinity are none.
[[nodiscard]] std::optional<PointValue> read_number(std::string_view text, const PointRules& rules);
/// raw x scale + offset, exactly where the digits allow.
/// `fallback`: the raw value as a double, for what has more than 18 digits. Whole results are integers.
[[nodiscard]] PointValue scaled(Decimal raw, double fallback, double scale, double offset);

} // namespace things
