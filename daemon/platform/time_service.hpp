// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <mutex>

namespace things {

/// Whether the system clock is right: adjtimex(2), STA_UNSYNC clear. A service whose sandbox (ProtectClock=)
/// forbids that even for reading asks systemd instead: it looks for the mark of systemd-timesyncd, then asks
/// systemd-timedated over the system bus, which knows of every NTP client. Any thread. Also of the plugin p1,
/// so that both believe the same.
class TimeService {
public:
    /// `boot_ms`: now, of a clock that never steps. Never fails, never waits: systemd is asked on a thread of
    /// its own, and its last answer counts meanwhile, at first no. A yes is kept for 60 s, a no for 5 s.
    [[nodiscard]] bool is_synchronised(std::int64_t boot_ms) const;

private:
    [[nodiscard]] bool ask_systemd(std::int64_t boot_ms) const;
    mutable std::atomic<bool> is_synchronised_{false};
    mutable std::atomic<std::int64_t> ask_again_ms_{0};
    mutable std::mutex mutex_;         ///< of the one who begins to ask
    mutable std::future<void> asking_; ///< its end waits for the answer, half a second at most
};

} // namespace things
