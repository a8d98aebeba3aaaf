// SPDX-License-Identifier: Apache-2.0
#include "simulated/wave.hpp"
#include "things_plugin.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>

#include <poll.h>

// The plugin `simulated`: made-up values, to try the gateway without a device and for tests. See README.md.

namespace {

using namespace std::chrono_literals;
using things::Generator;
using things::Shape;
using things::Wave;

enum class Type : std::uint8_t { number, integer, boolean, text };

struct Point {
    Generator generator;
    Type type = Type::number;
    std::string text;         ///< constant text
    things_value written{};   ///< THINGS_EMPTY until the first write
    std::string written_text; ///< `written` points to it if it is a text
    std::int64_t fail_every = 0, count = 0;
    bool failing = false;
};

Shape shape_of(const std::string& word) {
    static constexpr const char* words[] = {"sine", "ramp", "square", "walk", "counter", "constant"};
    for (std::size_t i = 0; i < std::size(words); ++i)
        if (word == words[i])
            return static_cast<Shape>(i);
    return Shape::sine;
}

Type type_of(const std::string& word) {
    return word == "integer" ? Type::integer
           : word == "bool"  ? Type::boolean
           : word == "text"  ? Type::text
                             : Type::number;
}

/// The key `value` is a text for the host; here it may turn out to be a number.
std::optional<double> parse_number(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
        return std::nullopt;
    return number;
}

std::uint64_t hash_of(std::uint64_t seed, const char* device, const char* point) {
    // FNV-1a over both names, so that the points of a source move differently and a restart changes nothing.
    std::uint64_t hash = 14695981039346656037U ^ seed;
    for (const char* text : {device, point})
        for (; *text != '\0'; ++text)
            hash = (hash ^ static_cast<unsigned char>(*text)) * 1099511628211U;
    return hash;
}

Point make_point(const things_point& config, const char* device, std::uint64_t seed) {
    const things::PluginSettings settings(config);
    const std::string value = settings.text("value");
    const bool has_value = settings.has("value");
    Wave wave = things::wave_for(config.unit);
    wave.shape = shape_of(settings.text("wave", has_value ? "constant" : "sine"));
    wave.minimum = settings.number("min", wave.minimum);
    wave.maximum = settings.number("max", std::max(wave.minimum, wave.maximum));
    wave.period_ms = static_cast<double>(settings.duration("period", 60s).count());
    wave.noise = settings.number("noise", 0);
    wave.step = settings.number("step", wave.shape == Shape::walk ? (wave.maximum - wave.minimum) / 50 : 1.0);
    Type type = type_of(settings.text("type", "number"));
    if (value == "true" || value == "false") {
        type = Type::boolean;
        wave.minimum = value == "true" ? 1 : 0;
    } else if (const auto number = has_value ? parse_number(value) : std::nullopt) {
        wave.minimum = *number;
    } else if (has_value) {
        type = Type::text;
    }
    Point point{Generator(wave, hash_of(seed, device, config.name)), type, value, {}, {}};
    point.fail_every = settings.integer("fail_every", 0);
    return point;
}

class Simulated {
public:
    Simulated(const things::PluginHost& host, const things_source_config& config);
    static std::unique_ptr<Simulated> make(const things::PluginHost& host,
                                           const things_source_config& config);

    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);
    int plan() {
        host_.found(R"({"cycle_ms":)" + std::to_string(delay_.count()) + R"(,"load":0,"requests":0})");
        return THINGS_OK;
    }

private:
    bool pause(std::int64_t deadline_ms) const;
    bool fails(std::uint32_t index, Point& point) const;

    things::PluginHost host_;
    std::vector<Point> points_;
    std::chrono::milliseconds delay_;
};

Simulated::Simulated(const things::PluginHost& host, const things_source_config& config)
    : host_(host), delay_(things::PluginSettings(config).duration("delay", 0ms)) {
    const auto seed = static_cast<std::uint64_t>(things::PluginSettings(config).integer("seed", 1));
    for (std::uint32_t i = 0; i < config.point_count; ++i)
        points_.push_back(
            make_point(*config.points[i], config.devices[config.points[i]->device]->name, seed));
}

std::unique_ptr<Simulated> Simulated::make(const things::PluginHost& host,
                                           const things_source_config& config) {
    bool is_valid = true;
    for (std::uint32_t i = 0; i < config.point_count; ++i) {
        const things::PluginSettings settings(*config.points[i]);
        const auto minimum = settings.number("min"), maximum = settings.number("max");
        if (minimum && maximum && *minimum > *maximum) {
            host.problem(THINGS_POINT, i, "min", "min must not be above max");
            is_valid = false;
        }
    }
    return is_valid ? std::make_unique<Simulated>(host, config) : nullptr;
}

/// Waits as long as a slow bus would. False if interrupted.
bool Simulated::pause(std::int64_t deadline_ms) const {
    const std::int64_t left = std::min<std::int64_t>(delay_.count(), deadline_ms - things::monotonic_ms());
    if (left <= 0)
        return true;
    pollfd wake{host_.wake_fd(), POLLIN, 0};
    ::poll(&wake, 1, static_cast<int>(left));
    return !host_.interrupted();
}

bool Simulated::fails(std::uint32_t index, Point& point) const {
    const bool fails = point.fail_every > 0 && ++point.count % point.fail_every == 0;
    if (fails)
        host_.report(THINGS_PROBLEM, THINGS_POINT, index, "simulated", "fails on purpose (fail_every)");
    else if (point.failing)
        host_.report(THINGS_RECOVERED, THINGS_POINT, index, "simulated", "works again");
    point.failing = fails;
    return fails;
}

things_value value_of(const Point& point, double number) {
    if (point.written.kind != THINGS_EMPTY)
        return point.written;
    switch (point.type) {
    case Type::integer:
        return things::make_value(static_cast<std::int64_t>(std::llround(number)));
    case Type::boolean:
        return things::make_value(number >= 0.5);
    case Type::text:
        return things::make_value(point.text);
    case Type::number:
        break;
    }
    return things::make_value(std::round(number * 1000) / 1000);
}

int Simulated::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    if (!pause(deadline_ms))
        return THINGS_INTERRUPTED;
    const std::int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                                 std::chrono::system_clock::now().time_since_epoch())
                                 .count();
    std::vector<things_reading> readings;
    readings.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (points[i] >= points_.size())
            return THINGS_INVALID;
        Point& point = points_[points[i]];
        const double number = point.generator.next(now);
        if (fails(points[i], point))
            continue;
        things_reading reading{};
        reading.size = sizeof reading;
        reading.point = points[i];
        reading.value = value_of(point, number);
        readings.push_back(reading);
    }
    host_.emit(readings.data(), static_cast<std::uint32_t>(readings.size()));
    return readings.size() == count ? THINGS_OK : THINGS_FAILED;
}

int Simulated::write(std::uint32_t index, const things_value& value, things_value& written,
                     std::int64_t deadline_ms) {
    if (index >= points_.size())
        return THINGS_INVALID;
    if (!pause(deadline_ms))
        return THINGS_INTERRUPTED;
    Point& point = points_[index];
    if (value.kind == THINGS_TEXT) {
        point.written_text = things::text_of(value);
        point.written = things::make_value(point.written_text);
    } else if (point.type == Type::integer && value.kind == THINGS_NUMBER) {
        point.written = things::make_value(static_cast<std::int64_t>(std::llround(value.d)));
    } else {
        point.written = value;
    }
    written = point.written;
    return THINGS_OK;
}

const things_plugin* make_table() {
    using things::make_key;
    static const things_key keys[] = {
        make_key(THINGS_SOURCE, "seed", THINGS_TYPE_INT, "1",
                 "The same seed gives the same values, another seed gives others."),
        make_key(THINGS_SOURCE, "delay", THINGS_TYPE_DURATION, "0s", "Every poll and write takes this long."),
        make_key(THINGS_POINT, "wave", THINGS_TYPE_CHOICE, "sine",
                 "How the value changes; constant if `value` is given.", {}, "", 0,
                 "sine ramp square walk counter constant"),
        make_key(THINGS_POINT, "min", THINGS_TYPE_NUMBER, "", "Lowest value; the default suits the unit."),
        make_key(THINGS_POINT, "max", THINGS_TYPE_NUMBER, "", "Highest value; the default suits the unit."),
        make_key(THINGS_POINT, "value", THINGS_TYPE_TEXT, "",
                 "A constant: a number, true or false, or a text."),
        make_key(THINGS_POINT, "period", THINGS_TYPE_DURATION, "60s", "The period of sine, ramp and square.",
                 {1, 366.0 * 86'400'000}),
        make_key(THINGS_POINT, "noise", THINGS_TYPE_NUMBER, "0", "At most this much is added or subtracted."),
        make_key(THINGS_POINT, "step", THINGS_TYPE_NUMBER, "1", "The step of counter and walk per reading."),
        make_key(THINGS_POINT, "type", THINGS_TYPE_CHOICE, "number", "The type of the values.", {}, "", 0,
                 "number integer bool text"),
        make_key(THINGS_POINT, "fail_every", THINGS_TYPE_INT, "0", "Every Nth reading fails; 0: none.",
                 {0, 1e9}),
    };
    static const things_key* pointers[std::size(keys)];
    for (std::size_t i = 0; i < std::size(keys); ++i)
        pointers[i] = &keys[i];
    using Border = things::PluginBorder<Simulated>;
    static things_plugin table{};
    table.size = sizeof table;
    table.abi_major = THINGS_ABI_MAJOR;
    table.abi_minor = THINGS_ABI_MINOR;
    table.key_count = std::size(keys);
    table.name = "simulated";
    table.version = "1.0";
    table.summary = "made-up values; accepts writes";
    table.keys = pointers;
    table.create = &Border::create;
    table.destroy = &Border::destroy;
    table.poll = &Border::poll;
    table.write = &Border::write;
    table.plan = &Border::plan;
    return &table;
}

} // namespace

extern "C" const things_plugin* things_plugin_entry() {
    static const things_plugin* const table = make_table();
    return table;
}
