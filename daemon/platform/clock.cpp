// SPDX-License-Identifier: Apache-2.0
#include "platform/clock.hpp"

#include <fstream>

#include <ctime>

namespace things {

namespace {

std::int64_t now_ms(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

} // namespace

std::int64_t build_floor_ms() {
    tm day{};
    ::strptime(THINGS_BUILD_DAY, "%Y-%m-%d", &day);
    return std::int64_t{::timegm(&day)} * 1000;
}

std::int64_t SystemClock::wall_ms() const {
    return now_ms(CLOCK_REALTIME);
}

std::int64_t SystemClock::boot_ms() const {
    return now_ms(CLOCK_BOOTTIME);
}

bool SystemClock::is_synchronised() const {
    return time_service_.is_synchronised(boot_ms());
}

std::string SystemClock::boot_id() const {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

} // namespace things
