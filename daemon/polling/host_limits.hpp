// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/privileges.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace things {

/// `socket` and `wake` are the only descriptors above 2 that stay open.
struct HostLimits {
    int socket = -1, wake = -1;
    std::int64_t memory = 0; ///< bytes of data (heap, stacks, anonymous maps); 0: no limit
    std::int64_t parent = 0; ///< process id of the gateway; 0: not known
    std::filesystem::path plugin;
    std::vector<std::filesystem::path> named, folders; ///< as FileRights in polling/landlock.hpp
    bool runs_programs = false; ///< which may make process groups, signal each other and take memory
    std::optional<User> user;   ///< to become, without any other group; root only
    long kernel = -1;  ///< the version of Landlock to act as if the kernel had; negative: what it has
    bool walls = true; ///< false, in tests only: nothing is shut away
};

/// What could be shut away from the plugin, beside the limits.
struct Confinement {
    bool files = false;           ///< secrets, queue, other sources' ports, the gateway's memory (Landlock)
    bool calls = false;           ///< limits, sockets and tracing of other programs (seccomp)
    std::filesystem::path plugin; ///< where it can be loaded from now: its folders may be closed to `user`
};

/// Takes away from this process what a plugin has no use for, before the plugin's code runs: descriptors,
/// memory beyond the limit, core dumps, capabilities, new privileges, outliving the gateway, the sight of
/// every file but its own, and the system calls that reach other programs. Nothing if the gateway has gone
/// meanwhile, or if it could not become `user`.
/// For good, and for all that the plugin starts. A wall that this kernel lacks is no error: the result says
/// so, and the host tells the log. Memory is not limited under sanitizers, which map terabytes.
[[nodiscard]] std::optional<Confinement> limit_host(const HostLimits& limits);

} // namespace things
