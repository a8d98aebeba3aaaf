// SPDX-License-Identifier: Apache-2.0
#include "exec/source.hpp"

#include <algorithm>

namespace things {

ExecSource::ExecSource(const PluginHost& host, const things_source_config& config)
    : host_(host), stop_patience_(PluginSettings(config).duration("stop_time", std::chrono::seconds(1))) {
    const PluginSettings settings(config);
    for (const things_value& item : settings.items("command"))
        command_.emplace_back(text_of(item));
    const auto pairs = settings.items("environment");
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
        environment_.emplace_back(text_of(pairs[i]), text_of(pairs[i + 1]));
    is_asked_ = settings.text("mode", "talks") == "asked";
    for (std::uint32_t i = 0; i < config.point_count; ++i) {
        points_.push_back({PluginSettings(*config.points[i]).text("field", config.points[i]->name), {}});
        by_field_.emplace(points_.back().field, i);
    }
}

std::unique_ptr<ExecSource> ExecSource::make(const PluginHost& host, const things_source_config& config) {
    const auto command = PluginSettings(config).items("command");
    bool is_valid = true;
    for (const things_value& item : command)
        is_valid = is_valid && item.kind == THINGS_TEXT;
    if (command.empty() || text_of(command[0]).empty() || !is_valid) {
        host.problem(THINGS_SOURCE, 0, "command",
                     "must be a list of texts: the program and its arguments; put numbers in quotes");
        return nullptr;
    }
    return std::make_unique<ExecSource>(host, config);
}

void ExecSource::remember_last(std::uint32_t index, const LineValue& value, std::int64_t time_ms) {
    points_[index].last = value;
    points_[index].last_ms = time_ms;
}

/// A program that talks by itself is not asked; who reads by hand gets the last value.
int ExecSource::show_last(const std::uint32_t* points, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const ExecPoint& point = points_.at(points[i]);
        if (!point.last)
            continue;
        things_reading reading{};
        reading.size = sizeof reading;
        reading.point = points[i];
        reading.value = make_value(*point.last);
        reading.time_ms = point.last_ms;
        reading.flags = THINGS_OWN_TIME | THINGS_UNCHANGED;
        host_.emit(&reading, 1);
    }
    return THINGS_OK;
}

int ExecSource::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    if (!run())
        return tell_down();
    // What it printed meanwhile counts as the last value.
    if (!is_asked_) {
        read_output();
        return show_last(points, count);
    }
    std::vector<std::string> fields;
    for (std::uint32_t i = 0; i < count; ++i)
        if (const std::string& field = points_.at(points[i]).field;
            std::find(fields.begin(), fields.end(), field) == fields.end())
            fields.push_back(field);
    // Whatever was pending is given up: its late answer has another number.
    pending_ = {++last_id_, {points, points + count}, false, false, {}, {}};
    if (!send(poll_line(pending_.id, fields))) {
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "deaf",
                     "the program does not read its standard input");
        is_failing_ = true;
        return THINGS_FAILED;
    }
    while (!pending_.points.empty() && !pending_.ended) {
        if (host_.interrupted())
            return THINGS_INTERRUPTED;
        if (monotonic_ms() >= deadline_ms) {
            for (const std::uint32_t point : pending_.points)
                host_.report(
                    THINGS_PROBLEM, THINGS_POINT, point, "timeout",
                    "the program did not answer in time; it must print a reading for each field asked "
                    "for, or {\"done\":N}");
            return THINGS_TIMEOUT;
        }
        turn(deadline_ms);
    }
    if (pending_.failed && child_.is_running()) {
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "failed", pending_.text);
        is_failing_ = true;
    }
    return pending_.failed ? THINGS_FAILED : THINGS_OK;
}

int ExecSource::listen(std::int64_t deadline_ms) {
    while (monotonic_ms() < deadline_ms && !host_.interrupted())
        turn(deadline_ms);
    return THINGS_OK;
}

int ExecSource::write(std::uint32_t point, const things_value& value, things_value& written,
                      std::int64_t deadline_ms) {
    if (!run())
        return tell_down();
    pending_ = {++last_id_, {}, false, false, {}, {}};
    const std::string& field = points_.at(point).field;
    if (!send(write_line(pending_.id, field, copy_of<LineValue>(value)))) {
        host_.report(THINGS_NOTE, THINGS_POINT, point, "deaf",
                     "the program does not read its standard input");
        return THINGS_FAILED;
    }
    while (!pending_.ended) {
        if (host_.interrupted())
            return THINGS_INTERRUPTED;
        if (monotonic_ms() >= deadline_ms) {
            host_.report(THINGS_NOTE, THINGS_POINT, point, "timeout",
                         "the program did not say {\"done\":" + std::to_string(pending_.id) + "} in time");
            return THINGS_TIMEOUT;
        }
        turn(deadline_ms);
    }
    if (pending_.failed && !child_.is_running())
        return THINGS_FAILED; // it ended and said neither yes nor no; end() told that
    if (pending_.failed) {
        host_.report(THINGS_NOTE, THINGS_POINT, point, "refused", pending_.text);
        return THINGS_REFUSED;
    }
    if (!pending_.value)
        return THINGS_OK;
    remember_last(point, *pending_.value, wall_ms());
    written = make_value(*points_[point].last);
    return THINGS_OK;
}

} // namespace things
