// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

// Made-up values. Pure: time and seed are arguments, so the same seed gives the same values.
namespace things {

enum class Shape : std::uint8_t { sine, ramp, square, walk, counter, constant };

struct Wave {
    Shape shape = Shape::sine;
    double minimum = 0, maximum = 100;
    double period_ms = 60'000;
    double noise = 0; ///< at most this much is added or taken away
    double step = 1;  ///< of walk and counter, for each reading
};

/// The range in which values of a SenML unit look real.
Wave wave_for(const std::string& unit);

/// One point's values over time.
class Generator {
public:
    Generator(const Wave& wave, std::uint64_t seed);
    /// The value at `time_ms`; walk and counter go on from the last one.
    double next(std::int64_t time_ms);

private:
    double random(); ///< -1 to 1

    Wave wave_;
    std::uint64_t state_;
    double phase_ = 0, last_ = 0;
    bool begun_ = false;
};

} // namespace things
