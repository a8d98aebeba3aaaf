// SPDX-License-Identifier: Apache-2.0
#include "exec/source.hpp"

#include <algorithm>
#include <iterator>

namespace things {

namespace {

constexpr std::int64_t first_output_ms = 10'000; ///< an interpreter on a small machine needs seconds to start
constexpr std::size_t most_quoted = 8;

} // namespace

ExecSource::ExecSource(const PluginHost& host, const things_source_config& config)
    : host_(host), stop_patience_(PluginSettings(config).duration("stop_time", std::chrono::seconds(1))),
      timeout_(PluginSettings(config).duration("timeout", std::chrono::seconds(5))) {
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
    auto source = std::make_unique<ExecSource>(host, config);
    host.patience(source->timeout_);
    return source;
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

std::vector<std::uint32_t> ExecSource::missing(const std::uint32_t* points, std::uint32_t count) const {
    std::vector<std::uint32_t> without;
    std::copy_if(points, points + count, std::back_inserter(without),
                 [this](std::uint32_t point) { return !points_.at(point).last; });
    return without;
}

std::string ExecSource::what_came() const {
    const auto quoted = [](const auto& names) {
        std::string text;
        for (const std::string& name : names)
            text += (text.empty() ? "`" : ", `") + name + "`";
        return text;
    };
    const std::string program = "the program " + command_[0];
    const std::string in = " in " + std::to_string((monotonic_ms() - started_ms_ + 500) / 1000) + " s";
    std::string text;
    if (came_.bytes == 0) {
        text = program + " has printed nothing" + in + "; is its output flushed after each line?";
    } else if (came_.lines == 0) {
        text = program + " has printed " + std::to_string(came_.bytes) + " bytes" + in + ", but no line end";
    } else if (came_.refused == came_.lines) {
        text = program + " has printed " + std::to_string(came_.lines) + " lines" + in +
               ", none of them a reading; the last: " + came_.last_refused + " (" + came_.why_refused + ")";
    } else if (!came_.unknown.empty()) {
        std::set<std::string> wanted;
        for (const ExecPoint& point : points_)
            if (!point.last && wanted.size() < most_quoted)
                wanted.insert(point.field);
        text = program + " prints " + quoted(came_.unknown) + ", but what is wanted is " + quoted(wanted) +
               ": give the point that name, or `field`";
    } else {
        text = program + " has printed " + std::to_string(came_.lines) + " lines" + in +
               ", none of them with this value";
    }
    if (!came_.last_words.empty())
        text += "; its last words on standard error: " + came_.last_words;
    return text;
}

void ExecSource::tell_reason() const {
    const bool has_any = std::any_of(points_.begin(), points_.end(),
                                     [](const ExecPoint& point) { return point.last.has_value(); });
    if (!has_any)
        return host_.reason(THINGS_SOURCE, 0, what_came());
    std::string text; // made once, and only if it is needed
    for (std::uint32_t i = 0; i < points_.size(); ++i)
        if (!points_[i].last)
            host_.reason(THINGS_POINT, i, text.empty() ? text = what_came() : text);
}

int ExecSource::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    if (!run())
        return tell_down();
    // What it printed meanwhile counts as the last value.
    if (!is_asked_) {
        read_output();
        // A program that was only just started needs its time: whoever reads by hand waits for it.
        const std::int64_t until = std::min(deadline_ms, started_ms_ + first_output_ms);
        while (!missing(points, count).empty() && child_.is_running() && monotonic_ms() < until) {
            if (host_.interrupted())
                return THINGS_INTERRUPTED;
            turn(until);
        }
        if (!child_.is_running())
            return tell_down();
        tell_reason();
        (void)show_last(points, count);
        return missing(points, count).empty() ? THINGS_OK : THINGS_TIMEOUT;
    }
    deadline_ms = std::min(deadline_ms, monotonic_ms() + timeout_.count());
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
                host_.report(THINGS_PROBLEM, THINGS_POINT, point, "timeout",
                             "no answer to the question for `" + points_[point].field + "` within " +
                                 std::to_string(timeout_.count()) + " ms; " + what_came() +
                                 ". It must print a reading for each field asked for, or {\"done\":N}");
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
    if (!is_asked_ && child_.is_running())
        tell_reason();
    return THINGS_OK;
}

int ExecSource::write(std::uint32_t point, const things_value& value, things_value& written,
                      std::int64_t deadline_ms) {
    if (!run())
        return tell_down();
    deadline_ms = std::min(deadline_ms, monotonic_ms() + timeout_.count());
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
