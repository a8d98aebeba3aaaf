// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/document.hpp"

#include <string>
#include <vector>

// A fleet as a table: CSV with a header line, comma, semicolon or tab, quotes as in RFC 4180, UTF-8. Every
// row becomes the mapping that a person would have written in YAML, so that one reader checks both.
namespace things {

/// One mapping a row; problems have the line and column of the table. `secret_file`, `secret_credential` and
/// `secret_env` become `secret: {...}`; an empty cell is a key that is not there.
/// A first line `sep=;` names the separator, as Excel writes it; else it is the first of tab, semicolon and
/// comma that the header has more of than of the others. Column names are taken in any case, with blanks for
/// underscores. Rows of another length than the header are problems, blank ones are skipped. Nothing is
/// returned if the header is wrong or has more than 200 columns.
std::vector<Node> read_fleet(const std::string& text, const std::string* file, Problems& problems);

} // namespace things
