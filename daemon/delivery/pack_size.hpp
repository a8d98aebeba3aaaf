// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "delivery/packer.hpp"

#include <cstddef>
#include <optional>

// How large the packs of one device may be: as configured, 16 times as much where posts are counted
// (`min_interval`), and less after a 413. Part of a DeviceUpload; pure state. After a restart the limit of
// the platform is found again.
namespace things {

class PackSize {
public:
    [[nodiscard]] PackLimits limits(const ThingsConfig& things, const BatchConfig& batch) const;
    /// How many readings to take for a pack: an estimate that is rather too high, because what does not fit
    /// goes back to the queue.
    [[nodiscard]] std::size_t readings_for(const PackLimits& limits) const;
    /// Estimated bytes of so many readings.
    [[nodiscard]] double bytes_of(std::size_t readings) const {
        return static_cast<double>(readings) * bytes_per_record_;
    }
    /// A pack was built. `records` is at least 1.
    void note_packed(std::size_t records, std::size_t bytes);
    /// After a 413. Both limits stay at least 1, and grow by a quarter after each 50 accepted packs.
    void cut(std::size_t records, std::size_t bytes);
    void note_accepted(const ThingsConfig& things, const BatchConfig& batch);

private:
    std::optional<PackLimits> cut_; ///< lower limits after a 413
    int packs_since_cut_ = 0;
    /// A guess until the first pack of four readings or more was measured.
    double bytes_per_record_ = 60;
};

} // namespace things
