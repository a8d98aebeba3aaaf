// SPDX-License-Identifier: Apache-2.0
#include "platform/clock.hpp"

#include "plugins/link/fake_host.hpp"
#include "plugins/link/pty.hpp"
#include "plugins/p1/telegram_text.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>

#include <dlfcn.h>
#include <sys/timex.h>

namespace {

enum class Kernel { real, synchronised, unset, forbidden } kernel = Kernel::real;

} // namespace

// What the kernel says of its clock is the test's to choose.
extern "C" int adjtimex(timex* state) noexcept {
    using Real = int (*)(timex*);
    if (kernel == Kernel::real)
        return reinterpret_cast<Real>(dlsym(RTLD_NEXT, "adjtimex"))(state);
    *state = {};
    state->status = kernel == Kernel::unset ? STA_UNSYNC : 0;
    errno = EPERM; // of ProtectClock=
    return kernel == Kernel::forbidden ? -1 : kernel == Kernel::unset ? TIME_ERROR : TIME_OK;
}

using namespace things;

TEST_CASE("the meter's clock is judged by the gateway's only where the daemon trusts that one, too") {
    for (const Kernel now : {Kernel::synchronised, Kernel::unset, Kernel::forbidden}) {
        CAPTURE(static_cast<int>(now));
        kernel = now;
        const bool is_trusted = SystemClock().is_synchronised();
        Pty pty;
        TestConfig config;
        config.set("port", pty.path()).set("baud", std::string("115200"));
        config.point("power", "W", 0).at("value", std::string("power"));
        FakeHost host(*things_plugin_entry());
        REQUIRE(host.create(config) == THINGS_OK);
        host.listen(10);
        pty.send(make_telegram("1-3:0.2.8(50)\n0-0:1.0.0(200101120000W)\n1-0:1.7.0(00.405*kW)\n")); // of 2020
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (host.readings.empty() && std::chrono::steady_clock::now() < give_up)
            host.listen(50);
        kernel = Kernel::real;
        REQUIRE(host.readings.size() == 1);
        CHECK((host.event("meter_clock") != nullptr) == is_trusted);
        if (now != Kernel::forbidden) // where it is up to systemd, if there is one
            CHECK(is_trusted == (now == Kernel::synchronised));
    }
}
