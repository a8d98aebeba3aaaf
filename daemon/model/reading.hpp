// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <variant>

// The value types that travel through the gateway: what a point said, and when. Plain values; any thread.
namespace things {

/// What a point can hold. Integers are exact up to 64 bits; numbers are finite; text is UTF-8.
/// In this order: it is the order of their kinds on flash and in messages.
using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;

/// Index of a device in the queue's catalogue, stable while the daemon runs (see queue/catalogue.hpp).
using DeviceId = std::uint32_t;
/// Index of a series (device, name, unit) in the queue's catalogue, stable while the daemon runs.
using SeriesId = std::uint32_t;

/// When a reading was taken. `wall`: milliseconds since the Unix epoch. `boot`: the system clock was not to
/// be trusted, milliseconds of CLOCK_BOOTTIME of the present boot; it is given its wall time once the clock
/// is right.
struct Stamp {
    enum class Clock : std::uint8_t { wall, boot };
    std::int64_t ms = 0;
    Clock clock = Clock::wall;
    friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// One value of one point at one time.
struct Reading {
    SeriesId series = 0;
    Stamp stamp;
    Value value;
    friend bool operator==(const Reading&, const Reading&) = default;
};

} // namespace things
