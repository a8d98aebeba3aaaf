// SPDX-License-Identifier: Apache-2.0
#include "exec/source.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <poll.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::size_t most_unsent = 256UL * 1024;
constexpr std::size_t most_unknown = 8, most_quoted_bytes = 200;

} // namespace

/// Starts the program if it is time to. True if it runs.
bool ExecSource::run() {
    const std::int64_t now = monotonic_ms();
    if (child_.is_running())
        return true;
    if (now < start_at_ms_)
        return false;
    output_ = {};
    messages_ = {};
    unsent_.clear();
    const std::string error = child_.start(command_, environment_);
    if (!error.empty()) {
        came_ = {};
        end("cannot be started: " + error);
        return false;
    }
    started_ms_ = now;
    came_ = {};
    pause_.on_start(now);
    return true;
}

void ExecSource::end(const std::string& how) {
    const std::int64_t now = monotonic_ms();
    const std::int64_t pause_ms = pause_.on_end(now);
    start_at_ms_ = now + pause_ms;
    is_failing_ = true;
    pending_.ended = true;
    pending_.failed = true;
    pending_.text = "the program " + command_[0] + " " + how;
    if (!came_.last_words.empty())
        pending_.text += "; its last words on standard error: " + came_.last_words;
    ended_ = pending_.text + "; it is started again in " + std::to_string(pause_ms / 1000) + " s";
    (void)tell_down();
}

/// Who asks while it is down gets the reason once more; the host thins that out.
int ExecSource::tell_down() {
    host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "program", ended_);
    return THINGS_FAILED;
}

bool ExecSource::send(const std::string& line) {
    if (unsent_.size() + line.size() > most_unsent)
        return false; // it does not read its standard input
    unsent_ += line;
    flush();
    return true;
}

void ExecSource::flush() {
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
void ExecSource::turn(std::int64_t until_ms) {
    const bool runs = run();
    std::int64_t left = until_ms - monotonic_ms();
    if (!runs)
        left = std::min(left, start_at_ms_ - monotonic_ms());
    std::array<pollfd, 4> ready = {{{host_.wake_fd(), POLLIN, 0},
                                    {runs ? child_.output() : -1, POLLIN, 0},
                                    {runs ? child_.messages() : -1, POLLIN, 0},
                                    {runs && !unsent_.empty() ? child_.input() : -1, POLLOUT, 0}}};
    if (::poll(ready.data(), ready.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000))) <= 0)
        return;
    if (ready[3].revents != 0)
        flush();
    // Before the output: its end may be found there, and what the program said before that belongs first.
    if (ready[2].revents != 0)
        read_messages();
    if (ready[1].revents != 0)
        read_output();
}

void ExecSource::read_output() {
    std::array<char, 16384> buffer; // NOLINT: filled by read
    const ssize_t count = ::read(child_.output(), buffer.data(), buffer.size());
    if (count < 0)
        return;
    came_.bytes += static_cast<std::uint64_t>(count);
    // At the end a line without its line end counts, too.
    output_.feed(count == 0 ? std::string_view("\n")
                            : std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    while (const auto line = output_.next()) {
        const Line parsed = parse_line(*line);
        if (parsed.kind != Line::Kind::empty)
            ++came_.lines;
        if (parsed.kind == Line::Kind::invalid) {
            ++came_.refused;
            came_.last_refused = line->substr(0, most_quoted_bytes);
            came_.why_refused = parsed.text;
        }
        handle(parsed);
    }
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

void ExecSource::read_messages() {
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
        if (!line->empty()) {
            came_.last_words = line->substr(0, most_quoted_bytes);
            host_.report(THINGS_NOTE, THINGS_SOURCE, 0, "stderr", line->substr(0, 500));
        }
}

void ExecSource::handle(const Line& line) {
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
        // A point with a problem brings no reading: do not wait for it.
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

void ExecSource::take(const Line& line) {
    is_garbled_ = false;
    if (std::exchange(is_failing_, false))
        host_.report(THINGS_RECOVERED, THINGS_SOURCE, 0, "program", "the program gives readings again");
    const std::int64_t now = wall_ms();
    for (const auto& [field, value] : line.values) {
        const auto [first, last] = by_field_.equal_range(field); // a field may serve several points
        if (first == last && came_.unknown.size() < most_unknown)
            came_.unknown.insert(field.substr(0, most_quoted_bytes));
        for (auto place = first; place != last; ++place) {
            things_reading reading{};
            reading.size = sizeof reading;
            reading.point = place->second;
            reading.value = make_value(value);
            reading.time_ms = line.time_ms.value_or(0);
            reading.flags = line.time_ms ? THINGS_OWN_TIME : 0;
            host_.emit(&reading, 1);
            remember_last(place->second, value, line.time_ms.value_or(now));
            std::erase(pending_.points, place->second);
        }
    }
}

} // namespace things
