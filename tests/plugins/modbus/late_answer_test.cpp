// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_bus.hpp"
#include "support/bus_storm/simulated_link.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

#include <utility>

// RTU answers that come long after their request, in the time of the line. Two registers are asked for that
// only their requests tell apart; what comes for one must never be given out as the other.
using namespace things;

namespace {

using std::chrono::milliseconds;
using Status = Exchange::Status;

const BusRequest first{1, 3, 100, 1}, second{1, 3, 200, 1};

class Line {
public:
    explicit Line(bool serial) {
        LinkSettings settings;
        settings.serial = serial;
        settings.rtu_framing = true;
        auto owned =
            std::make_unique<SimulatedLink>([this](SimulatedLink&, const std::vector<std::uint8_t>& request) {
                const auto address = static_cast<std::uint8_t>(request[3]);
                const int delay = delays.empty() ? 2 : delays.front();
                delays.erase(delays.begin(), delays.begin() + (delays.empty() ? 0 : 1));
                answer(1, address, delay);
            });
        link = owned.get();
        begin = link->now();
        bus = std::make_unique<ModbusBus>(settings, std::move(owned), nullptr);
        REQUIRE(!bus->open());
    }

    /// One register with this value, so many milliseconds from now.
    void answer(std::uint8_t unit, std::uint8_t value, int delay) {
        std::vector<std::uint8_t> frame{unit, 3, 2, 0, value};
        const std::uint16_t crc = slow_crc(frame);
        frame.push_back(static_cast<std::uint8_t>(crc & 0xFF));
        frame.push_back(static_cast<std::uint8_t>(crc >> 8));
        link->deliver(link->now() + milliseconds(delay), frame);
    }

    Exchange ask(const BusRequest& request, int retries = 0) {
        BusTiming timing;
        timing.timeout = timing.patience = milliseconds(100);
        timing.retries = timing.silent_retries = retries;
        return bus->exchange(request, timing);
    }

    void sleep_until(int ms) { link->sleep_until(begin + milliseconds(ms)); }

    std::vector<int> delays; ///< of the next answers; then 2
    SimulatedLink* link;
    SteadyTime begin;
    std::unique_ptr<ModbusBus> bus;
};

using Words = std::vector<std::uint16_t>;

} // namespace

TEST_CASE("a request sent again that gets the answer to its first sending still has one to come") {
    Line line(false);
    line.delays = {450, 480, 60};
    CHECK(line.ask(first).status == Status::silent);
    line.sleep_until(400);
    CHECK(line.ask(first).words == Words{100}); // at 450, to the first
    line.sleep_until(860);                      // at 880 the other one comes
    CHECK(line.ask(second).words == Words{200});
}

TEST_CASE("somebody else's frame is no answer, and one is still to come") {
    Line line(false);
    line.delays = {90, 490, 80};
    line.answer(9, 0, 10);
    const Exchange result = line.ask(first, 1);
    CHECK(result.attempts == 2);
    CHECK(result.words == Words{100}); // at 90, to the first attempt
    line.sleep_until(521);             // at about 550 the other one comes
    CHECK(line.ask(second).words == Words{200});
}

TEST_CASE("an adapter that was pulled out and put back may bring an answer from before") {
    Line line(true);
    line.delays = {150, 80};
    line.link->break_at(line.begin + milliseconds(20));
    CHECK(line.ask(first).status == Status::lost);
    REQUIRE(!line.bus->open());
    line.sleep_until(100);
    CHECK(line.ask(second).words == Words{200});
}
