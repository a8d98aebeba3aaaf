// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>

// A table by way of the leaves of its tree, for a file whose inner pages are damaged. Archive's thread.
//
// SQLite's file format: a table is a tree of pages; its rows are on leaves, pages that begin with 0x0d, and
// what does not fit there on pages to which the leaf leads. So every such page of the file is hung below a
// root made for the purpose, which is read in place of the table's own, 144 at a time. That brings rows of
// other tables and rows that were deleted too: who visits them must know its own.
namespace things {

class Statement;

struct TableScan {
    std::string path; ///< with an empty write-ahead log
    std::string vfs;
    std::string head;   ///< in place of the first page; empty: its own
    std::string select; ///< of all rows: no WHERE, no ORDER
    std::int64_t root;  ///< the table's page, from 1
};

/// Visits what can be read; a row may come twice. Nothing if the file cannot be read as one.
void for_each_leaf_row(const TableScan& scan, const std::function<void(const Statement&)>& visit);

} // namespace things
