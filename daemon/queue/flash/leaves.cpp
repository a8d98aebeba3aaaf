// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/leaves.hpp"

#include "queue/flash/sqlite.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <span>
#include <utility>
#include <vector>

namespace things {

namespace {

constexpr std::size_t page_size = 1024;
constexpr std::size_t most_leaves = 144; // that an inner page holds
constexpr char leaf_kind = 0x0d, inner_kind = 0x05;

using Leaves = std::span<const std::uint32_t>; // page numbers, from 1

void put_number(std::string& page, std::size_t at, std::uint32_t number, int bytes) {
    for (int i = 0; i < bytes; ++i)
        page[at + static_cast<std::size_t>(i)] = static_cast<char>(number >> (8 * (bytes - 1 - i)));
}

/// Walking from leaf to leaf SQLite does not look at the keys between them: all are 0.
std::string inner_page(Leaves leaves) {
    constexpr std::size_t head = 12, cell = 5;
    const std::size_t cells =
        std::max<std::size_t>(1, leaves.size() - 1); // the last leaf has its place in the head
    std::string page(page_size, '\0');
    page[0] = inner_kind;
    put_number(page, 3, static_cast<std::uint32_t>(cells), 2);
    put_number(page, 5, static_cast<std::uint32_t>(page_size - cells * cell), 2);
    put_number(page, 8, leaves.back(), 4);
    for (std::size_t i = 0; i < cells; ++i) {
        const std::size_t at = page_size - (i + 1) * cell;
        put_number(page, head + 2 * i, static_cast<std::uint32_t>(at), 2);
        put_number(page, at, leaves[i], 4);
    }
    return page;
}

std::vector<std::uint32_t> find_leaves(const std::string& path) {
    std::vector<std::uint32_t> leaves;
    std::ifstream in(path, std::ios::binary);
    std::string page(page_size, '\0');
    for (std::uint32_t number = 1; in.read(page.data(), page_size); ++number)
        if (number > 1 && page[0] == leaf_kind)
            leaves.push_back(number);
    return leaves;
}

/// A leaf that cannot be read ends the walk: then each half by itself.
void visit_leaves(const TableScan& scan, Leaves leaves, const std::function<void(const Statement&)>& visit) {
    try {
        DiskCounters unused;
        Connection connection(
            scan.path, scan.vfs, unused,
            {{0, scan.head}, {(scan.root - 1) * static_cast<std::int64_t>(page_size), inner_page(leaves)}});
        connection.exec("PRAGMA locking_mode = EXCLUSIVE");
        Statement rows(connection, scan.select.c_str());
        while (rows.step())
            visit(rows);
    } catch (const SqliteError&) {
        if (leaves.size() == 1)
            return;
        visit_leaves(scan, leaves.first(leaves.size() / 2), visit);
        visit_leaves(scan, leaves.subspan(leaves.size() / 2), visit);
    }
}

} // namespace

void for_each_leaf_row(const TableScan& scan, const std::function<void(const Statement&)>& visit) {
    const std::vector<std::uint32_t> leaves = find_leaves(scan.path);
    for (Leaves left = leaves; !left.empty(); left = left.subspan(std::min(left.size(), most_leaves)))
        visit_leaves(scan, left.first(std::min(left.size(), most_leaves)), visit);
}

} // namespace things
