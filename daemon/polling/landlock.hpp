// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace things {

/// Takes from this process and all it starts the sight of every file but programs, libraries, devices, what
/// the kernel tells of itself, what name resolution needs, and `plugin`'s own directory. With it goes the
/// right to look into other processes. False if the kernel does not offer it (Landlock, 5.13 and later);
/// nothing has changed then. Needs no privileges; needs PR_SET_NO_NEW_PRIVS.
/// Rights are those of the kernel's version: truncation from 3, signals and abstract sockets to others from 6
/// on.
bool hide_files(const std::filesystem::path& plugin);

} // namespace things
