// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace things {

/// Whether the system clock is right, asked of systemd: for a service whose sandbox (ProtectClock=) forbids
/// adjtimex(2) even for reading. Looks for the mark of systemd-timesyncd first, then asks systemd-timedated
/// over the system bus, which knows of every NTP client. The answer is kept for some seconds, since the bus
/// may take long. Any thread.
class TimeService {
public:
    /// `boot_ms`: now, of a clock that never steps. Blocks for at most half a second, and rarely.
    /// A yes is kept for 60 s, a no for 5 s; who asks while another thread waits for the bus gets the last
    /// answer, at first no.
    [[nodiscard]] bool is_synchronised(std::int64_t boot_ms) const;

private:
    mutable std::atomic<bool> is_synchronised_{false};
    mutable std::atomic<std::int64_t> ask_again_ms_{0};
};

} // namespace things
