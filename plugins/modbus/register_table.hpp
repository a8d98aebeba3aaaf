// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The four tables of a Modbus device and the two ways of naming a place in them. Pure.
namespace things {

enum class RegisterTable : std::uint8_t { coil, discrete, holding, input };

/// One register, or coil, by its zero-based protocol address.
struct RegisterAddress {
    RegisterTable table = RegisterTable::holding;
    std::uint16_t address = 0;
    friend bool operator==(const RegisterAddress&, const RegisterAddress&) = default;
};

/// "coil", "discrete", "holding", "input": as the point keys are called.
const char* table_name(RegisterTable table);
std::optional<RegisterTable> table_of(std::string_view name);
/// True for coils and discrete inputs.
bool holds_bits(RegisterTable table);
/// The function that reads the table.
/// Coils 1, discrete inputs 2, holding registers 3, input registers 4.
std::uint8_t read_function(RegisterTable table);

/// Reads the one-based notation of data sheets: a table digit (0 coil, 1 discrete, 3 input, 4 holding) and
/// four or five digits counted from 1; "40101" and "400101" are holding register 100.
/// Five digits reach 9999 registers, six all 65536. Nothing for other lengths, other table digits, and the
/// place 0.
std::optional<RegisterAddress> parse_entity(std::string_view text);
/// The same notation, five digits where they suffice.
std::string entity_text(RegisterAddress place);

} // namespace things
