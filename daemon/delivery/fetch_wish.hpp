// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// Whether one device should post only to fetch a downlink, and when. Part of a DeviceUpload; pure state.
// Times are CLOCK_BOOTTIME.
namespace things {

class FetchWish {
public:
    /// At most 30 times a minute; a later wish waits for the minute to end.
    void ask(std::int64_t now_ms);
    /// A post left: it fetches what there is.
    void end() { when_ms_ = 0; }
    [[nodiscard]] bool is_asked() const { return when_ms_ != 0; }
    [[nodiscard]] std::int64_t when_ms() const { return when_ms_; }

private:
    std::int64_t when_ms_ = 0; ///< 0: not asked
    std::int64_t window_ms_ = 0;
    int in_window_ = 0;
};

} // namespace things
