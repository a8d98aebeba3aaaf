// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

// "did you mean ...?": the nearest of the names that would have been right. Pure.
namespace things {

/// The nearest candidate: a slip of a few letters, another case, or another maker's word for the same thing.
/// Empty if none is near.
std::string nearest(std::string_view wrong, const std::vector<std::string_view>& candidates);

/// `; did you mean "x"?`, or `; known here: a, b, c` where none is near.
std::string hint(std::string_view wrong, const std::vector<std::string_view>& candidates);
std::string hint(std::string_view wrong, const std::vector<std::string>& candidates);

} // namespace things
