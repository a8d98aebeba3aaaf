// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

// What tells this machine from another one to which its card was copied. Digests, not the ids themselves:
// they stand in the queue's file. Any thread.
namespace things {

/// 0 or empty: it has none.
struct MachineMark {
    std::uint64_t board = 0;         ///< serial number of the board, from the device tree
    std::uint64_t id = 0;            ///< /etc/machine-id
    std::vector<std::uint64_t> nics; ///< built-in addresses of its network interfaces, sorted; four at most
    [[nodiscard]] bool empty() const { return board == 0 && id == 0 && nics.empty(); }
    friend bool operator==(const MachineMark&, const MachineMark&) = default;
};

/// `root`: in place of "/". Tests
[[nodiscard]] MachineMark read_machine(const std::filesystem::path& root = "/");

/// False where nothing can be compared. The board decides where both have one: an interface that was
/// exchanged and a system that was installed anew do not make another machine of it.
[[nodiscard]] bool is_other_machine(const MachineMark& known, const MachineMark& present);

} // namespace things
