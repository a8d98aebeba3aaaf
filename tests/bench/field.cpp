// SPDX-License-Identifier: Apache-2.0
#include "support/tcp_device.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

// bench-field UNITS LOG: a Modbus TCP server with that many units, whose first 125 holding registers wander
// like temperatures. Prints its port; on the line "count" prints how many registers it has given out. At the
// end of its input it writes when each request came to LOG, a line each: unit, microseconds of the monotonic
// clock. Unit 0 is a bare timer of this process that ends each 10 ms: how punctual the machine itself is.
namespace {

using namespace things;

struct Arrival {
    std::uint8_t unit;
    std::int64_t us;
};

std::int64_t now_us() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

void wander(ModbusUnits& units, int count, unsigned turn) {
    ModbusUnits::Words words(125);
    for (int unit = 1; unit <= count; ++unit) {
        for (unsigned i = 0; i < words.size(); ++i)
            words[i] = static_cast<std::uint16_t>(
                150 + (turn * (1 + i % 5) / 4 + static_cast<unsigned>(unit) * 13 + i * 7) % 90);
        units.set(static_cast<std::uint8_t>(unit), 'h', 0, words);
    }
}

void beat(std::vector<Arrival>& beats, const std::atomic<bool>& is_over) {
    auto next = std::chrono::steady_clock::now();
    while (!is_over) {
        next += std::chrono::milliseconds(10);
        std::this_thread::sleep_until(next);
        beats.push_back({0, now_us()});
    }
}

} // namespace

int main(int argc, char** argv) {
    int units = 0;
    if (argc == 3)
        std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), units);
    if (units < 1 || units > 247) {
        std::fprintf(stderr, "bench-field UNITS LOG\n");
        return 64;
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::vector<Arrival> arrivals;
    arrivals.reserve(10'000'000);
    std::atomic<std::uint64_t> registers{0};
    std::atomic<bool> is_over{false};
    TcpDevice device;
    for (int unit = 1; unit <= units; ++unit)
        device.units.add(static_cast<std::uint8_t>(unit));
    wander(device.units, units, 0);
    device.units.on_request([&arrivals, &registers](const UnitRequest& request) {
        if (arrivals.size() < arrivals.capacity())
            arrivals.push_back({request.unit, now_us()});
        registers += request.count;
        return UnitFault{};
    });
    std::thread weather([&device, &is_over, units] {
        for (unsigned turn = 0; !is_over; ++turn) {
            wander(device.units, units, turn);
            std::this_thread::sleep_for(std::chrono::seconds(1));
        }
    });
    std::vector<Arrival> beats;
    std::thread timer([&beats, &is_over] { beat(beats, is_over); });
    std::cout << device.port() << std::endl;
    for (std::string line; std::getline(std::cin, line);)
        if (line == "count")
            std::cout << registers << std::endl;
    is_over = true;
    weather.join();
    timer.join();
    device.units.on_request(nullptr);
    if (FILE* log = std::fopen(argv[2], "w")) {
        for (const auto* kept : {&arrivals, &beats})
            for (const Arrival& arrival : *kept)
                std::fprintf(log, "%d %lld\n", arrival.unit, static_cast<long long>(arrival.us));
        std::fclose(log);
    }
    return 0;
}
