// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace things {

/// What a plugin's process may see beside programs and libraries.
struct FileRights {
    std::filesystem::path plugin; ///< whose folder it may read, too
    std::vector<std::filesystem::path>
        named; ///< devices and files of its settings: to read, devices also to write
    std::vector<std::filesystem::path> folders; ///< to read, and to run programs of
};

/// What the kernel's Landlock can do here. 0: nothing; from 1 it hides files, from 6 signals and abstract
/// sockets of other processes are out of reach.
[[nodiscard]] long landlock_version();

/// Which walls round plugins this version leaves out, in words for the log; empty if none. `runs_programs`:
/// whether there are programs of the plugin exec, which may use signals among themselves.
[[nodiscard]] std::string missing_walls(long version, bool runs_programs);

/// Takes from this process and all it starts the sight of every file but programs, libraries, what the kernel
/// tells of itself, what name resolution needs, and `rights`. With it goes the right to look into other
/// processes. False if the kernel does not offer it (Landlock, 5.13 and later) or something forbids it;
/// nothing has changed then. Needs no privileges; needs PR_SET_NO_NEW_PRIVS.
/// `version`: of landlock_version, or a lower one, for tests of older kernels.
bool hide_files(const FileRights& rights, long version);

} // namespace things
