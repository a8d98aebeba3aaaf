// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace things {

/// What the settings of a source name in the file system, and so what its plugin's process may open: serial
/// ports, files, folders, programs. Nothing else of the machine's is a plugin's business.
struct HostReach {
    std::vector<std::filesystem::path> named;   ///< devices and files
    std::vector<std::filesystem::path> folders; ///< of a plugin that runs programs: where those lie, too

    /// Which device stands under a name: inode, number, time of birth. All 0: none.
    using Identity = std::array<std::uint64_t, 4>;
    /// Devices come and go: an adapter that is plugged in anew is another file under the same name, which the
    /// process could not open. True if one of them is another one than at `find_reach`, or came since.
    [[nodiscard]] bool has_changed() const;

private:
    friend HostReach find_reach(const SourceWork& work, bool runs_programs);
    std::vector<Identity> identities_; ///< by `named`
};

/// Every absolute path among the settings of the source, its devices and points; secrets are none. A folder
/// is left out where one of `work.hidden` lies in it, and so is every folder at the top of the file system.
[[nodiscard]] HostReach find_reach(const SourceWork& work, bool runs_programs);

} // namespace things
