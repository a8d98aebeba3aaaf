// SPDX-License-Identifier: Apache-2.0
#include "simulated/wave.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace things {

using namespace test;

namespace {

Wave make_wave(Shape shape) {
    Wave wave;
    wave.shape = shape;
    wave.minimum = 10;
    wave.maximum = 20;
    wave.period_ms = 1000;
    return wave;
}

} // namespace

TEST_CASE("a wave stays in its range, and the same seed gives the same values") {
    for (const Shape shape : {Shape::sine, Shape::ramp, Shape::square, Shape::walk}) {
        Generator first(make_wave(shape), 7), second(make_wave(shape), 7), other(make_wave(shape), 8);
        double least = 1e9, most = -1e9;
        bool differs = false;
        for (std::int64_t t = 0; t < 10'000; t += 7) {
            const double value = first.next(t);
            CHECK(value == second.next(t));
            differs = differs || value != other.next(t);
            least = std::min(least, value);
            most = std::max(most, value);
        }
        CHECK(least >= 10);
        CHECK(most <= 20);
        CHECK(most - least > 5);
        CHECK(differs);
    }
}

TEST_CASE("a counter counts, a constant stays") {
    Generator counter(make_wave(Shape::counter), 1), constant(make_wave(Shape::constant), 1);
    CHECK(counter.next(0) == 10);
    CHECK(counter.next(1) == 11);
    CHECK(counter.next(999'999) == 12);
    CHECK(constant.next(0) == constant.next(123'456));
}

TEST_CASE("noise is added to any wave, and no more of it than was asked for") {
    Wave wave = make_wave(Shape::constant);
    wave.noise = 0.5;
    Generator generator(wave, 1);
    double sum = 0;
    for (int i = 0; i < 10'000; ++i) {
        const double value = generator.next(i);
        CHECK(std::abs(value - 10) <= 0.5);
        sum += value;
    }
    CHECK(sum / 10'000 == doctest::Approx(10).epsilon(0.005));
}

TEST_CASE("constants of any kind, and ranges that suit the unit") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("simulated", 5, seconds(3600));
    const char* values[] = {"21.5", "true", "closed", "-3"};
    for (std::size_t i = 0; i < 4; ++i)
        work.points[i].config.settings = {make_setting("value", std::string(values[i]))};
    work.points[3].config.settings.push_back(make_setting("type", std::string("integer")));
    work.points[4].config.unit = "Cel";
    auto source = make_source(work, PluginLibrary::load(plugin_file("simulated"), true), clock, ear);
    source->start();
    CHECK(read_now(*source, 0).value == Value(21.5));
    CHECK(read_now(*source, 1).value == Value(true));
    CHECK(read_now(*source, 2).value == Value(std::string("closed")));
    CHECK(read_now(*source, 3).value == Value(std::int64_t{-3}));
    const double temperature = std::get<double>(read_now(*source, 4).value);
    CHECK(temperature >= 18);
    CHECK(temperature <= 23);
}

} // namespace things
