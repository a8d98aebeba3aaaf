// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

// Made-up values. Time and seed are arguments, so the same seed gives the same values. Each point of the
// plugin `simulated` owns one generator; use it on its source's thread only. Nothing here blocks or fails.
namespace things {

enum class Shape : std::uint8_t { sine, ramp, square, walk, counter, constant };

struct Wave {
    Shape shape = Shape::sine;
    double minimum = 0, maximum = 100;
    double period_ms = 60'000; ///< of sine, ramp and square; wall time and seed give the phase
    double noise = 0;          ///< at most this much is added or subtracted
    double step = 1;           ///< of walk and counter, per reading
};

/// A sine in a range that looks real for this SenML unit; 0 to 100 for an unknown one.
Wave wave_for(const std::string& unit);

class Generator {
public:
    Generator(const Wave& wave, std::uint64_t seed);
    /// Walk and counter advance by one step per call, whatever the time. Noise may exceed the range.
    double next(std::int64_t time_ms);

private:
    double random(); ///< -1 to 1

    Wave wave_;
    std::uint64_t state_;
    double phase_ = 0, last_ = 0;
    bool begun_ = false;
};

} // namespace things
