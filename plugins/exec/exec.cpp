// SPDX-License-Identifier: Apache-2.0
#include "exec/child.hpp"
#include "exec/line.hpp"
#include "things_plugin.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <map>

#include <poll.h>
#include <unistd.h>

// The plugin `exec`: any program that prints readings as JSON lines. See README.md.

namespace {

using things::Line;
using things::LineValue;

constexpr std::int64_t first_pause_ms = 1000, longest_pause_ms = 60'000, good_run_ms = 60'000;
constexpr std::size_t most_unsent = 256UL * 1024;

struct Point {
    std::string field;
    std::optional<LineValue> last;
    std::int64_t last_ms = 0; ///< since the Unix epoch
};

/// What the program still owes us.
struct Pending {
    std::uint64_t id = 0;
    std::vector<std::uint32_t> points; ///< of a poll: not heard of yet
    bool ended = false, failed = false;
    std::optional<LineValue> value;
    std::string text;
};

things_value to_plugin(const LineValue& value) {
    return std::visit([](const auto& v) { return things::make_value(v); }, value);
}

LineValue from_plugin(const things_value& value) {
    switch (value.kind) {
    case THINGS_BOOL:
        return value.i != 0;
    case THINGS_UINT:
        return value.u;
    case THINGS_NUMBER:
        return value.d;
    case THINGS_TEXT:
        return std::string(things::text_of(value));
    default:
        return value.i;
    }
}

std::int64_t wall_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

class Exec {
public:
    Exec(const things::PluginHost& host, const things_source_config& config);
    ~Exec() { child_.stop(stop_patience_); }
    Exec(const Exec&) = delete;
    Exec& operator=(const Exec&) = delete;
    static std::unique_ptr<Exec> make(const things::PluginHost& host, const things_source_config& config);

    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    int listen(std::int64_t deadline_ms);
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);

private:
    bool run();
    bool send(const std::string& line);
    void flush();
    void turn(std::int64_t until_ms);
    void read_output();
    void read_messages();
    void end(const std::string& how);
    void handle(const Line& line);
    void take(const Line& line);
    int show_last(const std::uint32_t* points, std::uint32_t count);
    void remember_last(std::uint32_t index, const LineValue& value, std::int64_t time_ms);

    things::PluginHost host_;
    std::vector<std::string> command_;
    std::vector<std::pair<std::string, std::string>> environment_;
    bool is_asked_ = false;
    std::chrono::milliseconds stop_patience_;
    std::vector<Point> points_;
    std::multimap<std::string, std::uint32_t> by_field_;

    things::Child child_;
    things::LineBuffer output_, messages_;
    std::string unsent_, written_text_;
    std::int64_t started_ms_ = 0, start_at_ms_ = 0, pause_ms_ = 0;
    bool is_failing_ = false, is_garbled_ = false;
    std::uint64_t last_id_ = 0;
    Pending pending_;
};

Exec::Exec(const things::PluginHost& host, const things_source_config& config)
    : host_(host),
      stop_patience_(things::PluginSettings(config).duration("stop_time", std::chrono::seconds(1))) {
    const things::PluginSettings settings(config);
    for (const things_value& item : settings.items("command"))
        command_.emplace_back(things::text_of(item));
    const auto pairs = settings.items("environment");
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
        environment_.emplace_back(things::text_of(pairs[i]), things::text_of(pairs[i + 1]));
    is_asked_ = settings.text("mode", "talks") == "asked";
    for (std::uint32_t i = 0; i < config.point_count; ++i) {
        points_.push_back(
            {things::PluginSettings(*config.points[i]).text("field", config.points[i]->name), {}});
        by_field_.emplace(points_.back().field, i);
    }
}

std::unique_ptr<Exec> Exec::make(const things::PluginHost& host, const things_source_config& config) {
    const auto command = things::PluginSettings(config).items("command");
    bool is_valid = true;
    for (const things_value& item : command)
        is_valid = is_valid && item.kind == THINGS_TEXT;
    if (command.empty() || things::text_of(command[0]).empty() || !is_valid) {
        host.problem(THINGS_SOURCE, 0, "command",
                     "must be a list of texts: the program and its arguments; put numbers in quotes");
        return nullptr;
    }
    return std::make_unique<Exec>(host, config);
}

/// Starts the program if it is time to. True if it runs.
bool Exec::run() {
    const std::int64_t now = things::monotonic_ms();
    if (child_.is_running())
        return true;
    if (now < start_at_ms_)
        return false;
    output_ = {};
    messages_ = {};
    unsent_.clear();
    const std::string error = child_.start(command_, environment_);
    if (!error.empty()) {
        end("cannot be started: " + error);
        return false;
    }
    started_ms_ = now;
    return true;
}

void Exec::end(const std::string& how) {
    const std::int64_t now = things::monotonic_ms();
    const bool ran_well = started_ms_ != 0 && now - started_ms_ >= good_run_ms;
    pause_ms_ = ran_well || pause_ms_ == 0 ? first_pause_ms : std::min(longest_pause_ms, pause_ms_ * 2);
    start_at_ms_ = now + pause_ms_;
    is_failing_ = true;
    pending_.ended = true;
    pending_.failed = true;
    pending_.text = "the program " + command_[0] + " " + how;
    host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "program",
                 pending_.text + "; it is started again in " + std::to_string(pause_ms_ / 1000) +
                     " s. What it wrote to standard error is in the log");
}

bool Exec::send(const std::string& line) {
    if (unsent_.size() + line.size() > most_unsent)
        return false; // it does not read its standard input
    unsent_ += line;
    flush();
    return true;
}

void Exec::flush() {
    // A program that has closed its input must not end the gateway. Only this thread is concerned.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    while (!unsent_.empty() && child_.is_running()) {
        const ssize_t count = ::write(child_.input(), unsent_.data(), unsent_.size());
        if (count <= 0) {
            if (count < 0 && errno != EAGAIN && errno != EINTR)
                unsent_.clear(); // EPIPE: it closed its input; whether it ended its output will say
            return;
        }
        unsent_.erase(0, static_cast<std::size_t>(count));
    }
}

/// Waits for something to happen until `until_ms` at the latest, and sees to it.
void Exec::turn(std::int64_t until_ms) {
    const bool runs = run();
    std::int64_t left = until_ms - things::monotonic_ms();
    if (!runs)
        left = std::min(left, start_at_ms_ - things::monotonic_ms());
    std::array<pollfd, 4> ready = {{{host_.wake_fd(), POLLIN, 0},
                                    {runs ? child_.output() : -1, POLLIN, 0},
                                    {runs ? child_.messages() : -1, POLLIN, 0},
                                    {runs && !unsent_.empty() ? child_.input() : -1, POLLOUT, 0}}};
    if (::poll(ready.data(), ready.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000))) <= 0)
        return;
    if (ready[3].revents != 0)
        flush();
    if (ready[2].revents != 0)
        read_messages();
    if (ready[1].revents != 0)
        read_output();
}

void Exec::read_output() {
    std::array<char, 16384> buffer; // NOLINT: filled by read
    const ssize_t count = ::read(child_.output(), buffer.data(), buffer.size());
    if (count < 0)
        return;
    output_.feed(count == 0 ? std::string_view("\n")
                            : std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    while (const auto line = output_.next())
        handle(things::parse_line(*line));
    if (output_.take_overlong() > 0) {
        Line overlong;
        overlong.kind = Line::Kind::invalid;
        overlong.text = "it is longer than 64 KiB";
        handle(overlong);
    }
    if (count == 0) {
        read_messages();
        end(child_.bury());
    }
}

void Exec::read_messages() {
    std::array<char, 4096> buffer; // NOLINT: filled by read
    if (child_.messages() < 0)
        return;
    const ssize_t count = ::read(child_.messages(), buffer.data(), buffer.size());
    if (count == 0)
        child_.close_messages();
    if (count <= 0)
        return;
    messages_.feed({buffer.data(), static_cast<std::size_t>(count)});
    while (const auto line = messages_.next())
        if (!line->empty())
            host_.report(THINGS_NOTE, THINGS_SOURCE, 0, "stderr", line->substr(0, 500));
}

void Exec::handle(const Line& line) {
    const auto place = by_field_.find(line.field);
    const bool has_point = !line.field.empty() && place != by_field_.end();
    const things_level level = has_point ? THINGS_POINT : THINGS_SOURCE;
    const std::uint32_t index = has_point ? place->second : 0;
    switch (line.kind) {
    case Line::Kind::empty:
        return;
    case Line::Kind::readings:
        take(line);
        return;
    case Line::Kind::problem:
        host_.report(THINGS_PROBLEM, level, index, line.code.c_str(), line.text);
        if (has_point)
            std::erase(pending_.points, index);
        return;
    case Line::Kind::recovered:
        host_.report(THINGS_RECOVERED, level, index, line.code.c_str(), line.text);
        return;
    case Line::Kind::note:
        host_.report(THINGS_NOTE, level, index, line.code.c_str(), line.text);
        return;
    case Line::Kind::done:
    case Line::Kind::failed:
        if (line.id != pending_.id)
            return; // an answer to what we gave up waiting for
        pending_.ended = true;
        pending_.failed = line.kind == Line::Kind::failed;
        pending_.value = line.value;
        pending_.text = line.text;
        return;
    case Line::Kind::invalid:
        if (!is_garbled_)
            host_.report(THINGS_NOTE, THINGS_SOURCE, 0, "line",
                         "a line of the program's output is ignored: " + line.text);
        is_garbled_ = true;
        return;
    }
}

void Exec::take(const Line& line) {
    is_garbled_ = false;
    if (std::exchange(is_failing_, false))
        host_.report(THINGS_RECOVERED, THINGS_SOURCE, 0, "program", "the program gives readings again");
    const std::int64_t now = wall_ms();
    for (const auto& [field, value] : line.values) {
        const auto [first, last] = by_field_.equal_range(field); // a field may serve several points
        for (auto place = first; place != last; ++place) {
            things_reading reading{};
            reading.size = sizeof reading;
            reading.point = place->second;
            reading.value = to_plugin(value);
            reading.time_ms = line.time_ms.value_or(0);
            reading.flags = line.time_ms ? THINGS_OWN_TIME : 0;
            host_.emit(&reading, 1);
            remember_last(place->second, value, line.time_ms.value_or(now));
            std::erase(pending_.points, place->second);
        }
    }
}

void Exec::remember_last(std::uint32_t index, const LineValue& value, std::int64_t time_ms) {
    points_[index].last = value;
    points_[index].last_ms = time_ms;
}

/// A program that talks by itself is not asked; who reads by hand gets the last value.
int Exec::show_last(const std::uint32_t* points, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const Point& point = points_.at(points[i]);
        if (!point.last)
            continue;
        things_reading reading{};
        reading.size = sizeof reading;
        reading.point = points[i];
        reading.value = to_plugin(*point.last);
        reading.time_ms = point.last_ms;
        reading.flags = THINGS_OWN_TIME | THINGS_UNCHANGED;
        host_.emit(&reading, 1);
    }
    return THINGS_OK;
}

int Exec::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    if (!run())
        return THINGS_FAILED;
    if (!is_asked_) {
        read_output();
        return show_last(points, count);
    }
    std::vector<std::string> fields;
    for (std::uint32_t i = 0; i < count; ++i)
        if (const std::string& field = points_.at(points[i]).field;
            std::find(fields.begin(), fields.end(), field) == fields.end())
            fields.push_back(field);
    pending_ = {++last_id_, {points, points + count}, false, false, {}, {}};
    if (!send(things::poll_line(pending_.id, fields))) {
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "deaf",
                     "the program does not read its standard input");
        return THINGS_FAILED;
    }
    while (!pending_.points.empty() && !pending_.ended) {
        if (host_.interrupted())
            return THINGS_INTERRUPTED;
        if (things::monotonic_ms() >= deadline_ms) {
            for (const std::uint32_t point : pending_.points)
                host_.report(
                    THINGS_PROBLEM, THINGS_POINT, point, "timeout",
                    "the program did not answer in time; it must print a reading for each field asked "
                    "for, or {\"done\":N}");
            return THINGS_TIMEOUT;
        }
        turn(deadline_ms);
    }
    if (pending_.failed && child_.is_running())
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "failed", pending_.text);
    return pending_.failed ? THINGS_FAILED : THINGS_OK;
}

int Exec::listen(std::int64_t deadline_ms) {
    while (things::monotonic_ms() < deadline_ms && !host_.interrupted())
        turn(deadline_ms);
    return THINGS_OK;
}

int Exec::write(std::uint32_t point, const things_value& value, things_value& written,
                std::int64_t deadline_ms) {
    if (!run())
        return THINGS_FAILED;
    pending_ = {++last_id_, {}, false, false, {}, {}};
    const std::string& field = points_.at(point).field;
    if (!send(things::write_line(pending_.id, field, from_plugin(value))))
        return THINGS_FAILED;
    while (!pending_.ended) {
        if (host_.interrupted())
            return THINGS_INTERRUPTED;
        if (things::monotonic_ms() >= deadline_ms) {
            host_.report(THINGS_NOTE, THINGS_POINT, point, "timeout",
                         "the program did not say {\"done\":" + std::to_string(pending_.id) + "} in time");
            return THINGS_TIMEOUT;
        }
        turn(deadline_ms);
    }
    if (pending_.failed) {
        host_.report(THINGS_NOTE, THINGS_POINT, point, "refused", pending_.text);
        return THINGS_REFUSED;
    }
    if (!pending_.value)
        return THINGS_OK;
    remember_last(point, *pending_.value, wall_ms());
    written = to_plugin(*points_[point].last);
    return THINGS_OK;
}

const things_plugin* make_table() {
    using things::make_key;
    static const things_key keys[] = {
        make_key(
            THINGS_SOURCE, "command", THINGS_TYPE_LIST, "",
            "The program and its arguments; no shell in between. A full path, or a name found in /usr/bin.",
            {}, "", THINGS_REQUIRED),
        make_key(THINGS_SOURCE, "mode", THINGS_TYPE_CHOICE, "talks",
                 "talks: prints readings by itself. asked: is told on standard input when points are due.",
                 {}, "", 0, "talks asked"),
        make_key(THINGS_SOURCE, "environment", THINGS_TYPE_MAP, "",
                 "Variables for the program; of the gateway's own it gets none."),
        make_key(THINGS_SOURCE, "stop_time", THINGS_TYPE_DURATION, "1s",
                 "How long it may take to end after SIGTERM, before it is killed.", {0, 3000}),
        make_key(THINGS_POINT, "field", THINGS_TYPE_TEXT, "",
                 "What the program calls this point; the point's name if not given."),
    };
    static const things_key* pointers[std::size(keys)];
    for (std::size_t i = 0; i < std::size(keys); ++i)
        pointers[i] = &keys[i];
    using Border = things::PluginBorder<Exec>;
    static things_plugin table{};
    table.size = sizeof table;
    table.abi_major = THINGS_ABI_MAJOR;
    table.abi_minor = THINGS_ABI_MINOR;
    table.key_count = std::size(keys);
    table.name = "exec";
    table.version = "1.0";
    table.summary = "any program that prints readings as JSON lines";
    table.keys = pointers;
    table.create = &Border::create;
    table.destroy = &Border::destroy;
    table.poll = &Border::poll;
    table.listen = &Border::listen;
    table.write = &Border::write;
    return &table;
}

} // namespace

extern "C" const things_plugin* things_plugin_entry() {
    static const things_plugin* const table = make_table();
    return table;
}
