// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include <sys/types.h>

namespace things {

/// The file of a Unix socket that this process listens on: made with mode 0660, never wider, not for a
/// moment; a dead socket in its place is removed, and nothing else is. Its permissions and those of its
/// folder decide who may connect. One thread at a time.
class SocketFile {
public:
    /// What at `path` would be in the way of a gateway that is not running now; empty if nothing. Changes
    /// nothing.
    [[nodiscard]] static std::string obstacle(const std::filesystem::path& path);

    /// Whether a process listens there, as far as that can be told: one that lets nobody in counts.
    [[nodiscard]] static bool is_answered(const std::filesystem::path& path);

    /// Binds the stream socket `fd` to `path`, whose missing folders are made. Returns what is wrong; empty
    /// if nothing. Does not wait for whoever listens there.
    [[nodiscard]] std::string bind(int fd, const std::filesystem::path& path);
    /// Whether the file that bind() made still stands there.
    [[nodiscard]] bool is_there() const;
    /// Not the file of a process that has put its own there meanwhile.
    void remove();

private:
    std::filesystem::path path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

} // namespace things
