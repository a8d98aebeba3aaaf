// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "config/loader.hpp"
#include "config/section.hpp"

// The sections of the daemon itself: everything of the main file but sources, devices and profiles.
namespace things {

/// Reads them from the main file's section into `config`, defaults kept where nothing is given.
/// Wrong values leave the default and a problem. The caller has checked the names in `main` itself.
void read_daemon_sections(Section& main, Config& config, const LoadOptions& options, Problems& problems);

} // namespace things
