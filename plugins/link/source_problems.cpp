// SPDX-License-Identifier: Apache-2.0
#include "link/source_problems.hpp"

#include <algorithm>

namespace things {

void SourceProblems::begin(const std::string& code, const std::string& text) {
    std::erase_if(open_, [&code](const Problem& problem) { return problem.code == code; });
    open_.push_back({code, text});
    host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, code.c_str(), text);
}

void SourceProblems::end(const std::string& code, const std::string& text) {
    if (open_.empty())
        return;
    const bool is_shown = open_.back().code == code;
    const auto count = std::erase_if(open_, [&code](const Problem& problem) { return problem.code == code; });
    if (count == 0)
        return;
    if (open_.empty())
        host_.report(THINGS_RECOVERED, THINGS_SOURCE, 0, code.c_str(), text);
    else if (is_shown)
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, open_.back().code.c_str(), open_.back().text);
}

} // namespace things
