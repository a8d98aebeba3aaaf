// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/problem.hpp"

#include <filesystem>
#include <string>
#include <vector>

// What `profiles list|show` tells. Reads profile directories; pure otherwise.
namespace things {

/// The head of one profile file.
struct ProfileInfo {
    std::string name;
    std::string plugin, product, maker, category;
    std::string models; ///< as one line
    std::filesystem::path file;
    std::size_t points = 0;
};

/// All profiles of the directories, by name; a name is taken from the first directory that has it. Files that
/// cannot be read are in `problems`, and hide no good ones.
std::vector<ProfileInfo> list_profiles(const std::vector<std::filesystem::path>& directories,
                                       std::vector<Problem>& problems);

/// Those that have each word in name, product, maker, category or models; capitals do not matter.
std::vector<ProfileInfo> find_profiles(std::vector<ProfileInfo> profiles,
                                       const std::vector<std::string>& words);

/// A page for people: product, documents, link settings, quirks, device keys, points with the comments behind
/// them. Empty if there is no
/// such profile; `hint` then holds the nearest name or nothing.
std::string show_profile(const std::vector<std::filesystem::path>& directories, const std::string& name,
                         std::string& hint);

/// The lines of `profiles list`: name, points, category, product. Ended by a newline, as is the JSON.
std::string profile_list_text(const std::vector<ProfileInfo>& profiles);
std::string profile_list_json(const std::vector<ProfileInfo>& profiles);

} // namespace things
