// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace things {

/// Whether the system clock is right: adjtimex(2), STA_UNSYNC clear. A service whose sandbox (ProtectClock=)
/// forbids that even for reading asks systemd instead: it looks for the mark of systemd-timesyncd, then asks
/// systemd-timedated over the system bus, which knows of every NTP client; that answer is kept for some
/// seconds, since the bus may take long. Any thread. Also of the plugin p1, so that both believe the same.
class TimeService {
public:
    /// `boot_ms`: now, of a clock that never steps. Never fails. Blocks for at most half a second, and
    /// rarely, and only where adjtimex(2) is forbidden. A yes of systemd is kept for 60 s, a no for 5 s; who
    /// asks while another thread waits for the bus gets the last answer, at first no.
    [[nodiscard]] bool is_synchronised(std::int64_t boot_ms) const;

private:
    [[nodiscard]] bool ask_systemd(std::int64_t boot_ms) const;
    mutable std::atomic<bool> is_synchronised_{false};
    mutable std::atomic<std::int64_t> ask_again_ms_{0};
};

} // namespace things
