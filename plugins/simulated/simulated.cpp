// SPDX-License-Identifier: Apache-2.0
#include "simulated/wave.hpp"

#include "things_plugin.h"

#include <cmath>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <poll.h>

// The plugin `simulated`: made-up values, for trying a gateway out, for tests and for the demo. See
// README.md.

namespace {

using things::Generator;
using things::Shape;
using things::Wave;

enum class Type { number, integer, boolean, text };

struct Point {
    Generator generator;
    Type type = Type::number;
    bool writable = false;
    std::string text;         ///< constant text
    things_value written{};   ///< kind THINGS_EMPTY: never written
    std::string written_text; ///< what `written` points to
    std::int64_t fail_every = 0;
    std::int64_t count = 0;
    bool failing = false;
};

std::int64_t now_ms(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

const things_setting* find(const things_setting* const* settings, std::uint32_t count, const char* key) {
    for (std::uint32_t i = 0; i < count; ++i)
        if (std::strcmp(settings[i]->key, key) == 0)
            return settings[i];
    return nullptr;
}

double number_of(const things_setting* setting, double fallback) {
    if (setting == nullptr)
        return fallback;
    switch (setting->value.kind) {
    case THINGS_BOOL:
    case THINGS_INT:
        return static_cast<double>(setting->value.i);
    case THINGS_UINT:
        return static_cast<double>(setting->value.u);
    case THINGS_NUMBER:
        return setting->value.d;
    default:
        return fallback;
    }
}

std::string text_of(const things_setting* setting, const char* fallback) {
    return setting != nullptr && setting->value.kind == THINGS_TEXT
               ? std::string(setting->value.text, setting->value.length)
               : std::string(fallback);
}

Shape shape_of(const std::string& word) {
    static constexpr const char* words[] = {"sine", "ramp", "square", "walk", "counter", "constant"};
    for (std::size_t i = 0; i < 6; ++i)
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

std::uint64_t hash_of(std::uint64_t seed, const char* device, const char* point) {
    std::uint64_t hash = 14695981039346656037U ^ seed;
    for (const char* text : {device, point})
        for (; *text != '\0'; ++text)
            hash = (hash ^ static_cast<unsigned char>(*text)) * 1099511628211U;
    return hash;
}

} // namespace

struct things_source {
    const things_host* host;
    std::vector<Point> points;
    std::int64_t delay_ms = 0;
};

namespace {

Point make_point(const things_point& config, const char* device, std::uint64_t seed) {
    const auto get = [&config](const char* key) {
        return find(config.settings, config.setting_count, key);
    };
    Wave wave = things::wave_for(config.unit);
    const things_setting* value = get("value");
    const bool is_text = value != nullptr && value->value.kind == THINGS_TEXT;
    wave.shape = shape_of(text_of(get("wave"), value != nullptr ? "constant" : "sine"));
    wave.minimum = number_of(get("min"), wave.minimum);
    wave.maximum = number_of(get("max"), wave.maximum);
    if (value != nullptr)
        wave.minimum = number_of(value, wave.minimum);
    wave.period_ms = number_of(get("period"), wave.period_ms);
    wave.noise = number_of(get("noise"), 0);
    wave.step = number_of(get("step"), wave.shape == Shape::walk ? (wave.maximum - wave.minimum) / 50 : 1);
    Point point{
        Generator(wave, hash_of(seed, device, config.name)), Type::number, false, {}, {}, {}, 0, 0, false};
    point.type = is_text ? Type::text
                 : value != nullptr && value->value.kind == THINGS_BOOL
                     ? Type::boolean
                     : type_of(text_of(get("type"), "number"));
    point.text = text_of(value, "");
    point.writable = config.writable != 0;
    point.fail_every = static_cast<std::int64_t>(number_of(get("fail_every"), 0));
    return point;
}

int create(const things_host* host, const things_source_config* config, things_source** source) {
    try {
        auto made = std::make_unique<things_source>();
        made->host = host;
        const auto get = [config](const char* key) {
            return find(config->settings, config->setting_count, key);
        };
        const auto seed = static_cast<std::uint64_t>(number_of(get("seed"), 1));
        made->delay_ms = static_cast<std::int64_t>(number_of(get("delay"), 0));
        bool is_valid = true;
        for (std::uint32_t i = 0; i < config->point_count; ++i) {
            const things_point& point = *config->points[i];
            const auto number = [&point](const char* key) {
                return number_of(find(point.settings, point.setting_count, key), NAN);
            };
            if (number("min") > number("max")) {
                host->problem(host->context, THINGS_POINT, i, "min", "min must not be above max");
                is_valid = false;
            }
            made->points.push_back(make_point(point, config->devices[point.device]->name, seed));
        }
        if (!is_valid)
            return THINGS_INVALID;
        *source = made.release();
        return THINGS_OK;
    } catch (const std::bad_alloc&) {
        return THINGS_FAILED;
    }
}

void destroy(things_source* source) {
    delete source;
}

/// Waits as long as a slow bus would, or until the host wants something more urgent.
bool pause(const things_source& source, std::int64_t deadline_ms) {
    const std::int64_t left = std::min(source.delay_ms, deadline_ms - now_ms(CLOCK_MONOTONIC));
    if (left <= 0)
        return true;
    pollfd wake{source.host->wake_fd, POLLIN, 0};
    ::poll(&wake, 1, static_cast<int>(left));
    return source.host->interrupted(source.host->context) == 0;
}

void set_value(things_value& value, Point& point, double number) {
    if (point.written.kind != THINGS_EMPTY) {
        value = point.written;
        return;
    }
    switch (point.type) {
    case Type::number:
        value.kind = THINGS_NUMBER;
        value.d = std::round(number * 1000) / 1000;
        break;
    case Type::integer:
        value.kind = THINGS_INT;
        value.i = std::llround(number);
        break;
    case Type::boolean:
        value.kind = THINGS_BOOL;
        value.i = number >= 0.5 ? 1 : 0;
        break;
    case Type::text:
        value.kind = THINGS_TEXT;
        value.text = point.text.c_str();
        value.length = static_cast<std::uint32_t>(point.text.size());
        break;
    }
}

void report(const things_source& source, std::uint32_t kind, std::uint32_t point, const char* text) {
    things_event event{};
    event.size = sizeof event;
    event.kind = kind;
    event.level = THINGS_POINT;
    event.index = point;
    event.code = "simulated";
    event.text = text;
    source.host->report(source.host->context, &event);
}

int poll(things_source* source, const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    if (!pause(*source, deadline_ms))
        return THINGS_INTERRUPTED;
    std::vector<things_reading> readings;
    readings.reserve(count);
    const std::int64_t now = now_ms(CLOCK_REALTIME);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (points[i] >= source->points.size())
            return THINGS_INVALID;
        Point& point = source->points[points[i]];
        const double value = point.generator.next(now);
        if (point.fail_every > 0 && ++point.count % point.fail_every == 0) {
            point.failing = true;
            report(*source, THINGS_PROBLEM, points[i], "fails on purpose (fail_every)");
            continue;
        }
        if (point.failing)
            report(*source, THINGS_RECOVERED, points[i], "works again");
        point.failing = false;
        things_reading reading{};
        reading.size = sizeof reading;
        reading.point = points[i];
        set_value(reading.value, point, value);
        readings.push_back(reading);
    }
    if (!readings.empty())
        source->host->emit(source->host->context, readings.data(),
                           static_cast<std::uint32_t>(readings.size()));
    return readings.size() == count ? THINGS_OK : THINGS_FAILED;
}

int write(things_source* source, std::uint32_t point, const things_value* value, things_value* written,
          std::int64_t deadline_ms) {
    if (point >= source->points.size())
        return THINGS_INVALID;
    if (!pause(*source, deadline_ms))
        return THINGS_INTERRUPTED;
    Point& target = source->points[point];
    target.written = *value;
    if (value->kind == THINGS_TEXT) {
        target.written_text.assign(value->text, value->length);
        target.written.text = target.written_text.c_str();
    } else if (target.type == Type::integer && value->kind == THINGS_NUMBER) {
        target.written.kind = THINGS_INT;
        target.written.i = std::llround(value->d);
    }
    *written = target.written;
    return THINGS_OK;
}

int plan(things_source* source) {
    source->host->found(source->host->context, "{\"cycle_ms\":0,\"load\":0,\"requests\":0}");
    return THINGS_OK;
}

constexpr things_key key(std::uint32_t level, const char* name, std::uint32_t type, const char* fallback,
                         const char* choices, const char* help) {
    return {sizeof(things_key), level, name, type, 0, "", fallback, 0, 0, choices, "", help};
}

constexpr things_key keys[] = {
    key(THINGS_SOURCE, "seed", THINGS_TYPE_INT, "1", "",
        "Another seed gives other values; the same one the same."),
    key(THINGS_SOURCE, "delay", THINGS_TYPE_DURATION, "0s", "", "Every poll and write takes this long."),
    key(THINGS_POINT, "wave", THINGS_TYPE_CHOICE, "sine", "sine ramp square walk counter constant",
        "How the value moves; constant if `value` is given."),
    key(THINGS_POINT, "min", THINGS_TYPE_NUMBER, "", "", "Lowest value; the default suits the unit."),
    key(THINGS_POINT, "max", THINGS_TYPE_NUMBER, "", "", "Highest value; the default suits the unit."),
    key(THINGS_POINT, "value", THINGS_TYPE_TEXT, "", "", "A constant: a number, true or false, or a text."),
    key(THINGS_POINT, "period", THINGS_TYPE_DURATION, "60s", "", "Of sine, ramp and square."),
    key(THINGS_POINT, "noise", THINGS_TYPE_NUMBER, "0", "", "At most this much is added or taken away."),
    key(THINGS_POINT, "step", THINGS_TYPE_NUMBER, "1", "", "Of counter and walk, for each reading."),
    key(THINGS_POINT, "type", THINGS_TYPE_CHOICE, "number", "number integer bool text",
        "What the values are."),
    key(THINGS_POINT, "fail_every", THINGS_TYPE_INT, "0", "", "Every so manieth reading fails; 0: none."),
};

struct KeyList {
    const things_key* pointers[std::size(keys)]{};
    constexpr KeyList() {
        for (std::size_t i = 0; i < std::size(keys); ++i)
            pointers[i] = &keys[i];
    }
};
constexpr KeyList key_list;

constexpr things_plugin table = {sizeof(things_plugin),
                                 THINGS_ABI_MAJOR,
                                 THINGS_ABI_MINOR,
                                 std::size(keys),
                                 "simulated",
                                 "1.0",
                                 "Made-up values; accepts writes.",
                                 key_list.pointers,
                                 create,
                                 destroy,
                                 poll,
                                 nullptr,
                                 write,
                                 nullptr,
                                 plan};

} // namespace

extern "C" const things_plugin* things_plugin_entry() {
    return &table;
}
