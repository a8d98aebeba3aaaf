// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

// Made-up values. Pure: time and seed are arguments, so the same seed gives the same values.
namespace things {

enum class Shape : std::uint8_t { sine, ramp, square, walk, counter, constant };

/// `period_ms` of sine, ramp and square: their place in it goes by the wall time and the seed.
struct Wave {
    Shape shape = Shape::sine;
    double minimum = 0, maximum = 100;
    double period_ms = 60'000;
    double noise = 0; ///< at most this much is added or taken away
    double step = 1;  ///< of walk and counter, for each reading
};

/// The range in which values of a SenML unit look real.
/// Units that are not known: 0 to 100.
Wave wave_for(const std::string& unit);

/// One point's values over time.
class Generator {
public:
    Generator(const Wave& wave, std::uint64_t seed);
    /// The value at `time_ms`; walk and counter go on from the last one.
    /// Steps of walk and counter count calls, not time. Noise may leave the range.
    double next(std::int64_t time_ms);

private:
    double random(); ///< -1 to 1

    Wave wave_;
    std::uint64_t state_;
    double phase_ = 0, last_ = 0;
    bool begun_ = false;
};

} // namespace things
