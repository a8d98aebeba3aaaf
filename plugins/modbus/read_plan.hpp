// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/link_cost.hpp"
#include "modbus/register_table.hpp"

#include <cstdint>
#include <vector>

// Which requests read a set of values most cheaply. Pure.
// A request covers neighbouring values; between them may lie registers that nobody asked for, as far as the
// device allows it and the link makes it worth while. A value is never read in two parts.
namespace things {

/// Half-open range of addresses in one table; `end` may be 65536.
struct RegisterSpan {
    std::uint32_t first = 0, end = 0;
    [[nodiscard]] std::uint32_t size() const { return end - first; }
    friend bool operator==(const RegisterSpan&, const RegisterSpan&) = default;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 mistakes what the compiler makes of it
    friend auto operator<=>(const RegisterSpan&, const RegisterSpan&) = default;
};

/// Modbus Application Protocol V1.1b3 allows 125 registers and 2000 coils (sections 6.1 to 6.4); many devices
/// less.
struct ReadLimits {
    std::uint32_t most = 125; ///< registers or coils in one request
    std::uint32_t gap = 0;    ///< unasked ones in a row that may be read along
    bool even = false;        ///< first address and count must be even
    std::uint32_t register_bytes = 2;
};

/// What experience says about one table of one unit.
struct TableLessons {
    std::vector<RegisterSpan> forbidden; ///< no joined request touches them
    std::vector<RegisterSpan> open_gaps; ///< may be crossed whatever `gap` says
    std::vector<std::uint32_t> cuts;     ///< no joined request goes over this address
};

/// One request: the addresses it reads, and which of the wanted spans (sorted, from `begin` to `end`) it
/// covers.
struct PlannedRead {
    RegisterSpan span;
    std::size_t begin = 0, end = 0;
};

/// `wanted` must be sorted. Every wanted span is covered by exactly one request; requests of more than one
/// span keep all limits. A span that by itself breaks a limit is still read, alone.
/// The cheapest plan there is, by dynamic programming over the sorted spans; of two equally cheap ones the
/// first found.
std::vector<PlannedRead> plan_reads(const std::vector<RegisterSpan>& wanted, RegisterTable table,
                                    const ReadLimits& limits, const LinkCost& cost,
                                    const TableLessons& lessons);

/// The addresses that a request for this span must name.
/// The span itself, or with `even` made wider to even addresses: one register more at either end.
RegisterSpan request_span(RegisterSpan span, const ReadLimits& limits);

} // namespace things
