// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/decimal.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Between registers and values. Pure.
//   order  ABCD: most significant register first (the norm); CDAB: least significant register first;
//          BADC, DCBA: the same two with the bytes of every register swapped. Holds for 32 and 64 bits; of
//          16-bit values and strings only the swap of bytes is meant. An 8-bit value is the low byte.
//   bit, mask  part of the registers; a mask is shifted down to bit 0, and its highest bit is the sign of a
//          signed type: int16 under mask 0xFF00 makes -10 of 0xF619.
//   value = raw x scale x 10^power + offset, exact; `power` comes from the register of `scale_from`.
// Example: int32, CDAB, scale 0.1, registers 0xFFF6 0xFFFF -> raw -10 -> -1.0.
namespace things {

enum class RegisterType : std::uint8_t {
    boolean,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    uint64,
    float32,
    float64,
    bcd16,
    bcd32,
    string,
    int8,
    uint8
};
enum class RegisterOrder : std::uint8_t { abcd, cdab, badc, dcba };

using RegisterValue = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

/// At most one of `bit` and `mask` is given; `bit` makes the value a boolean. `invalid` is compared with the
/// raw value, before scale and offset.
struct RegisterFormat {
    RegisterType type = RegisterType::uint16;
    RegisterOrder order = RegisterOrder::abcd;
    std::optional<std::uint8_t> bit;
    std::uint64_t mask = 0; ///< 0: none
    Decimal scale{1, 0};
    Decimal offset{0, 0};
    std::uint16_t length = 1;                ///< of strings, in words of two characters
    std::vector<RegisterValue> invalid = {}; ///< typed as the raw value: int64, uint64, double or text
};

const char* type_name(RegisterType type);
std::optional<RegisterType> type_of(std::string_view name);
const char* order_name(RegisterOrder order);
std::optional<RegisterOrder> order_of(std::string_view name);
/// How many registers of two bytes a value takes: the words of decode() and encode().
/// 1, 2 or 4; of strings their length. Coils count as 1.
std::uint16_t register_count(const RegisterFormat& format);
/// Bits of an integer or BCD type; 0 for floats and strings.
unsigned integer_bits(RegisterType type);
/// The same, of what a mask leaves.
unsigned field_bits(const RegisterFormat& format);
bool is_signed(RegisterType type);

/// A value, or why there is none (a phrase that follows "the registers hold ...").
struct Decoded {
    RegisterValue value;
    const char* why_not = nullptr;
};
/// `words` are register_count() registers as they came; `power` from the scale factor register.
/// Never guesses: a number that is not finite, a BCD digit above 9, one of `invalid` or a result out of range
/// is no value. Without scale, offset and power an integer stays an integer.
Decoded decode(const RegisterFormat& format, std::span<const std::uint16_t> words, int power = 0);

/// What to write, or why it cannot be written.
struct Encoded {
    std::vector<std::uint16_t> words;
    std::string error; ///< empty: words are good
};
/// `current`: what the registers hold now, looked at only if needs_current().
/// Rounds to the nearest raw value, halves away from zero; never wraps and never clips: what does not fit is
/// an error, and so is what would read back as no value (one of `invalid`).
Encoded encode(const RegisterFormat& format, const RegisterValue& value,
               std::span<const std::uint16_t> current = {}, int power = 0);
/// True if only part of the registers is written, so that the rest must be read first.
/// Bits and masks.
bool needs_current(const RegisterFormat& format);

/// Makes an `invalid` entry fit the type: integers may be given signed or as their bits. Nothing: it never
/// can occur.
std::optional<RegisterValue> fit_invalid(const RegisterFormat& format, const RegisterValue& value);

} // namespace things
