// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace things {

/// A folder that is gone when the test ends; in memory if possible, so that syncs cost nothing.
class TempDir {
public:
    TempDir() {
        const std::filesystem::path memory = "/dev/shm";
        std::error_code ignored;
        const bool has_memory = std::filesystem::is_directory(memory, ignored);
        const auto parent = has_memory ? memory : std::filesystem::temp_directory_path();
        std::string name = (parent / "things-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace things
