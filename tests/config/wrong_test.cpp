// SPDX-License-Identifier: Apache-2.0
#include "support/config_files.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

// tests/config/wrong/ holds files with one mistake each, and beside each NAME.yaml the exact lines that a
// person sees in NAME.expected. THINGS_WRONG_WRITE=1 writes them anew; read the difference before it is
// committed.

using namespace things;

namespace {

const std::filesystem::path folder = std::filesystem::path(THINGS_TESTS) / "config" / "wrong";

// A copy that only its owner can read, as a file with secrets must be.
void copy_private(const std::filesystem::path& to) {
    std::filesystem::copy(folder, to, std::filesystem::copy_options::recursive);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(to))
        if (entry.is_regular_file())
            std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_read);
}

std::string problems_of(ConfigFiles& files, const std::string& name) {
    const Loaded loaded = load(files.folder() / "wrong" / name, files.options);
    bool has_error = false;
    for (const Problem& problem : loaded.problems)
        has_error = has_error || problem.severity == Severity::error;
    CHECK(loaded.config.has_value() != has_error);
    std::string all = files.problems(loaded);
    for (std::size_t at = all.find("wrong/"); at != std::string::npos; at = all.find("wrong/"))
        all.erase(at, 6);
    return all;
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::vector<std::filesystem::path> wrong_files() {
    std::vector<std::filesystem::path> list;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".yaml")
            list.push_back(entry.path());
    std::sort(list.begin(), list.end());
    return list;
}

} // namespace

TEST_CASE("every wrong file gets exactly the message beside it") {
    const std::vector<std::filesystem::path> list = wrong_files();
    CHECK(list.size() >= 80);
    ConfigFiles files;
    copy_private(files.folder() / "wrong");
    files.options.profile_directories = {files.folder() / "wrong" / "profiles"};
    files.environment["SECRET"] = "abcdefghijklmnopqrstuvwxyzABCD";
    for (const std::filesystem::path& file : list) {
        CAPTURE(file.filename().string());
        std::filesystem::path expected = file;
        expected.replace_extension(".expected");
        const std::string found = problems_of(files, file.filename().string());
        CHECK_FALSE(found.empty());
        if (std::getenv("THINGS_WRONG_WRITE")) // NOLINT(concurrency-mt-unsafe)
            std::ofstream(expected, std::ios::binary) << found;
        CHECK(found == text_of(expected));
    }
}
