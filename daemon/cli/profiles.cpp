// SPDX-License-Identifier: Apache-2.0
#include "config/profiles.hpp"

#include "cli/setup.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace things::cli {

int profiles_list(const Common& common, const std::vector<std::string>& words) {
    std::vector<Problem> problems;
    const std::vector<ProfileInfo> profiles =
        find_profiles(list_profiles(profile_directories(common.config), problems), words);
    for (const Problem& problem : problems)
        fmt::print(stderr, "{}\n", problem.text());
    fmt::print("{}", common.json ? profile_list_json(profiles) : profile_list_text(profiles));
    if (profiles.empty() && !words.empty()) {
        fmt::print(stderr, "error: no profile has {}; `profiles list` shows all\n",
                   fmt::join(words, " and "));
        return failed;
    }
    return problems.empty() ? done : failed;
}

int profiles_show(const Common& common, const std::string& name) {
    std::string hint;
    const std::string page = show_profile(profile_directories(common.config), name, hint);
    if (page.empty()) {
        fmt::print(stderr, "error: there is no profile \"{}\"{}\n", name,
                   hint.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", hint));
        return failed;
    }
    fmt::print("{}", page);
    return done;
}

} // namespace things::cli
