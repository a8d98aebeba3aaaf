// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace things {

struct HostLimits {
    int socket = -1, wake = -1;
    std::int64_t memory = 0; ///< bytes of data (heap, stacks, anonymous maps); 0: no limit
    std::int64_t parent = 0; ///< process id of the gateway; 0: not known
    std::filesystem::path plugin;
};

/// Takes away from this process what a plugin has no use for, before the plugin's code runs: descriptors,
/// memory beyond the limit, core dumps, new privileges, outliving the gateway, and where the kernel offers
/// Landlock the sight of every file that holds a secret or the queue. False if the gateway has gone
/// meanwhile.
[[nodiscard]] bool limit_host(const HostLimits& limits);

} // namespace things
