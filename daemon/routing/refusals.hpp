// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"

#include <cstdint>
#include <deque>
#include <vector>

// What one device was refused of late. Whoever speaks for the platform may ask for the same nonsense with
// each answer: in the audit that is one line with a count, not a line for each time. Loop only; after a
// restart the count begins anew, in a line of its own.
namespace things {

class Refusals {
public:
    /// Takes out of `refused`, the commands of a downlink of which none is allowed, whatever says the same as
    /// another: the same point, value and reason. Unknown points count as one point with many names.
    /// Returns the stored commands that are to be stored again with their new count. Those of few repetitions
    /// at once, the others once a minute, so that repetition does not wear the flash.
    [[nodiscard]] std::vector<Command> fold(std::vector<Command>& refused, std::int64_t now_wall_ms,
                                            std::int64_t now_boot_ms);
    /// Takes what the store has given numbers.
    void remember(const std::vector<Command>& stored);

private:
    struct Kept {
        Command command; ///< as first stored
        std::uint64_t times = 1;
        std::int64_t last_wall_ms = 0, stored_boot_ms = 0;
    };
    std::deque<Kept> kept_; ///< at most 100, which is one whole downlink; newest last
};

} // namespace things
