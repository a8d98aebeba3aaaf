// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

// The rows of a table in a file that may be damaged anywhere. Archive's thread.
namespace things {

class Connection;
class Statement;

/// False: the row could be read and is no good.
using RowVisit = std::function<bool(const Statement&)>;

/// Visits the rows of a table, whose first column is `id`, so that a damaged page costs its own rows only.
/// Returns the places, not the rows, where nothing could be read, and the rows that were no good. Never
/// throws for damage.
[[nodiscard]] std::uint64_t for_each_row(Connection& connection, const std::string& table,
                                         const std::string& columns, const RowVisit& visit);

} // namespace things
