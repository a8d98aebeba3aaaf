// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace things {

/// `socket` and `wake` are the only descriptors above 2 that stay open.
struct HostLimits {
    int socket = -1, wake = -1;
    std::int64_t memory = 0; ///< bytes of data (heap, stacks, anonymous maps); 0: no limit
    std::int64_t parent = 0; ///< process id of the gateway; 0: not known
    std::filesystem::path plugin;
};

/// What could be shut away from the plugin, beside the limits.
struct Confinement {
    bool files = false; ///< secrets, queue and the gateway's memory (Landlock)
    bool calls = false; ///< the control socket and other programs (seccomp)
};

/// Takes away from this process what a plugin has no use for, before the plugin's code runs: descriptors,
/// memory beyond the limit, core dumps, new privileges, outliving the gateway, the sight of every file that
/// holds a secret or the queue, and Unix sockets. Nothing if the gateway has gone meanwhile.
/// For good, and for all that the plugin starts. A wall that this kernel lacks is no error: the result says
/// so, and the host tells the log. Memory is not limited under sanitizers, which map terabytes.
[[nodiscard]] std::optional<Confinement> limit_host(const HostLimits& limits);

} // namespace things
