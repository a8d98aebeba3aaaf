// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/rows.hpp"

#include "queue/flash/sqlite.hpp"

#include <fmt/format.h>

#include <optional>

namespace things {

namespace {

/// Far above any id that was ever given out; leaps double, so that they end well below the largest number.
constexpr std::int64_t most_key = std::int64_t{1} << 60;

struct Keys {
    std::int64_t first = 0, last = most_key;
};

/// Visits the rows with these keys, upwards or downwards, to the first that cannot be read. Returns the keys
/// that are left; none: it got through.
std::optional<Keys> visit_rows(Connection& connection, const std::string& select, Keys keys, bool upwards,
                               const std::function<void(const Statement&)>& visit) {
    try {
        Statement rows(
            connection,
            fmt::format("{} WHERE id BETWEEN ? AND ? ORDER BY id{}", select, upwards ? "" : " DESC").c_str());
        rows.bind(1, keys.first).bind(2, keys.last);
        while (rows.step()) {
            (upwards ? keys.first : keys.last) = rows.integer(0) + (upwards ? 1 : -1);
            visit(rows);
        }
        return std::nullopt;
    } catch (const SqliteError&) {
        return keys;
    }
}

} // namespace

std::uint64_t for_each_row(Connection& connection, const std::string& table, const std::string& columns,
                           const RowVisit& visit) {
    constexpr int most_errors = 2000, patience = 100;
    const std::string select = fmt::format("SELECT {} FROM {}", columns, table);
    std::uint64_t gaps = 0;
    const auto note = [&visit, &gaps](const Statement& row) {
        if (!visit(row))
            ++gaps;
    };
    // Upwards to the first that cannot be read, downwards from the end, then one by one over what is left in
    // between; by leaps that double where there is nothing for long.
    std::optional<Keys> left = visit_rows(connection, select, {}, true, note);
    if (left)
        left = visit_rows(connection, select, *left, false, note);
    std::int64_t leap = 1;
    int in_vain = 0;
    for (int errors = 0; left && left->first <= left->last && errors < most_errors; ++errors) {
        ++gaps;
        left->first += leap;
        const std::int64_t from = left->first;
        left = visit_rows(connection, select, *left, true, note);
        in_vain = left && left->first > from ? 0 : in_vain + 1;
        leap = in_vain < patience ? 1 : leap * 2;
    }
    return gaps;
}

} // namespace things
