// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/problem.hpp"

#include <string>
#include <string_view>

// What a YAML parser's complaint means for somebody who does not know YAML's grammar. Pure; any thread.
namespace things {

/// The mistake behind `said`, which the parser noticed at `noticed` in `text`. Parsers stumble behind the
/// cause: a tab in the indentation and a colon without its space are looked for in the text itself.
/// `noticed` counts lines and columns from 1; beyond the text is allowed.
[[nodiscard]] Problem syntax_problem(const std::string& text, const Place& noticed, std::string_view said);

} // namespace things
