// SPDX-License-Identifier: Apache-2.0
#include "platform/time_service.hpp"

#include <chrono>
#include <system_error>

#include <sys/timex.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

namespace things {

namespace {

bool ask_timedated() {
    sd_bus* bus = nullptr;
    if (sd_bus_open_system(&bus) < 0)
        return false;
    // Half a second: the end of the process may wait for it, and the default is 25 s.
    sd_bus_set_method_call_timeout(bus, 500'000);
    int answer = 0;
    const int result =
        sd_bus_get_property_trivial(bus, "org.freedesktop.timedate1", "/org/freedesktop/timedate1",
                                    "org.freedesktop.timedate1", "NTPSynchronized", nullptr, 'b', &answer);
    sd_bus_flush_close_unref(bus);
    return result >= 0 && answer != 0;
}

} // namespace

bool TimeService::is_synchronised(std::int64_t boot_ms) const {
    timex state{};
    const int result = adjtimex(&state);
    // EPERM under ProtectClock=, which filters adjtimex even for reading.
    return result < 0 ? ask_systemd(boot_ms) : result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

bool TimeService::ask_systemd(std::int64_t boot_ms) const {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || boot_ms < ask_again_ms_.load() ||
        (asking_.valid() && asking_.wait_for(std::chrono::seconds(0)) != std::future_status::ready))
        return is_synchronised_.load();
    const auto ask = [this, boot_ms] {
        // systemd-timesyncd leaves this file; asking timedated is what works with other services, and costs
        // more.
        const bool answer = access("/run/systemd/timesync/synchronized", F_OK) == 0 || ask_timedated();
        is_synchronised_.store(answer);
        ask_again_ms_.store(boot_ms + (answer ? 60'000 : 5'000));
    };
    try {
        asking_ = std::async(std::launch::async, ask);
    } catch (const std::system_error&) {
        ask_again_ms_.store(boot_ms + 5'000); // no more threads: the last answer counts on
    }
    return is_synchronised_.load();
}

} // namespace things
