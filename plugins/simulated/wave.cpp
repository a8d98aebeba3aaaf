// SPDX-License-Identifier: Apache-2.0
#include "simulated/wave.hpp"

#include <algorithm>
#include <cmath>

namespace things {

Wave wave_for(const std::string& unit) {
    struct Range {
        const char* unit;
        double minimum, maximum;
    };
    static constexpr Range ranges[] = {{"Cel", 18, 23},    {"%RH", 40, 60},    {"%", 0, 100},
                                       {"W", 50, 2500},    {"V", 225, 235},    {"A", 0, 16},
                                       {"Hz", 49.9, 50.1}, {"hPa", 990, 1030}, {"lx", 100, 800},
                                       {"dBm", -90, -60},  {"bar", 1, 4},      {"/", 0, 1}};
    Wave wave;
    for (const Range& range : ranges)
        if (unit == range.unit) {
            wave.minimum = range.minimum;
            wave.maximum = range.maximum;
        }
    return wave;
}

Generator::Generator(const Wave& wave, std::uint64_t seed) : wave_(wave), state_(seed) {
    phase_ = (random() + 1) / 2;
}

double Generator::random() {
    // splitmix64: small, and the same everywhere
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    z ^= z >> 31U;
    return static_cast<double>(z >> 11U) / 4503599627370496.0 - 1.0; // 2^52: -1 to 1
}

double Generator::next(std::int64_t time_ms) {
    const double span = wave_.maximum - wave_.minimum;
    const double turns = static_cast<double>(time_ms) / std::max(1.0, wave_.period_ms) + phase_;
    const double part = turns - std::floor(turns);
    constexpr double full_turn = 6.283185307179586;
    double value = wave_.minimum;
    switch (wave_.shape) {
    case Shape::sine:
        value += span * (std::sin(part * full_turn) + 1) / 2;
        break;
    case Shape::ramp:
        value += span * part;
        break;
    case Shape::square:
        value += part < 0.5 ? 0 : span;
        break;
    case Shape::walk:
        last_ = begun_ ? std::clamp(last_ + random() * wave_.step, wave_.minimum, wave_.maximum)
                       : wave_.minimum + span * phase_;
        value = last_;
        break;
    case Shape::counter:
        last_ = begun_ ? last_ + wave_.step : wave_.minimum;
        value = last_;
        break;
    case Shape::constant:
        break;
    }
    begun_ = true;
    if (wave_.noise > 0)
        value += random() * wave_.noise;
    return value;
}

} // namespace things
