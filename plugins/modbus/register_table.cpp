// SPDX-License-Identifier: Apache-2.0
#include "modbus/register_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace things {

namespace {

struct TableRow {
    const char* name;
    char digit;
    std::uint8_t read;
};
constexpr std::array<TableRow, 4> rows{
    {{"coil", '0', 1}, {"discrete", '1', 2}, {"holding", '4', 3}, {"input", '3', 4}}};

const TableRow& row(RegisterTable table) {
    return rows[static_cast<std::size_t>(table)];
}

} // namespace

const char* table_name(RegisterTable table) {
    return row(table).name;
}

std::optional<RegisterTable> table_of(std::string_view name) {
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (name == rows[i].name)
            return static_cast<RegisterTable>(i);
    return std::nullopt;
}

bool holds_bits(RegisterTable table) {
    return table == RegisterTable::coil || table == RegisterTable::discrete;
}

std::uint8_t read_function(RegisterTable table) {
    return row(table).read;
}

std::optional<RegisterAddress> parse_entity(std::string_view text) {
    if (text.size() != 5 && text.size() != 6)
        return std::nullopt;
    const auto* found =
        std::find_if(rows.begin(), rows.end(), [text](const TableRow& r) { return r.digit == text[0]; });
    if (found == rows.end())
        return std::nullopt;
    unsigned number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 1, end, number);
    if (error != std::errc() || stop != end || number < 1 || number > 65536)
        return std::nullopt;
    return RegisterAddress{static_cast<RegisterTable>(found - rows.begin()),
                           static_cast<std::uint16_t>(number - 1)};
}

std::string entity_text(RegisterAddress place) {
    const unsigned number = place.address + 1U;
    std::string digits = std::to_string(number);
    const std::size_t width = number > 9999 ? 5 : 4;
    digits.insert(0, width - std::min(width, digits.size()), '0');
    return row(place.table).digit + digits;
}

} // namespace things
