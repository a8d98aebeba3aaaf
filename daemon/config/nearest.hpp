// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

// "did you mean ...?": the nearest of the names that would have been right. Pure.
namespace things {

/// The nearest candidate: a slip of a few letters, another case, or another maker's word for the same thing.
/// Empty if none is near.
/// Near is up to a third of the letters, swapped neighbours counting once. Names above 64 characters are
/// never near; costs an edit distance for each candidate.
std::string nearest(std::string_view wrong, const std::vector<std::string_view>& candidates);

/// `; did you mean "x"?`, or `; known here: a, b, c` where none is near.
/// Empty if there are no candidates. For more than 40 it names those that contain the word.
std::string hint(std::string_view wrong, const std::vector<std::string_view>& candidates);
std::string hint(std::string_view wrong, const std::vector<std::string>& candidates);

} // namespace things
