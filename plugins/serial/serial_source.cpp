// SPDX-License-Identifier: Apache-2.0
#include "serial/serial_source.hpp"

#include "serial/request_plan.hpp"

#include "link/printed_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

// Opening, reading and asking; serial_output.cpp has what becomes of frames and values.
namespace things {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause{1000}, longest_pause{30'000};

std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

} // namespace

std::unique_ptr<SerialSource> SerialSource::make(const PluginHost& host, const things_source_config& config) {
    bool is_good = true;
    SerialOptions options = read_serial_options(host, config, is_good);
    std::vector<SerialPoint> points = read_serial_points(host, config, options, is_good);
    if (!is_good)
        return nullptr;
    host.patience(options.timeout);
    return std::make_unique<SerialSource>(host, config.name, std::move(options), std::move(points));
}

SerialSource::SerialSource(PluginHost host, std::string name, SerialOptions options,
                           std::vector<SerialPoint> points)
    : host_(host), problems_(host), options_(std::move(options)), record_(std::move(name), options_),
      points_(std::move(points)), states_(points_.size()),
      reader_(
          options_.frame, [this](const SerialFrame& frame) { on_frame(frame); },
          [this](const FrameDamage& damage) { on_damage(damage); }),
      pause_(first_pause) {
    has_talkers_ = std::any_of(points_.begin(), points_.end(),
                               [](const SerialPoint& point) { return point.request.empty(); });
}

int SerialSource::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    Patience patience{link_time(deadline_ms), &host_};
    std::vector<std::uint32_t> rest, talking;
    for (std::uint32_t i = 0; i < count; ++i)
        if (points[i] < points_.size())
            (points_[points[i]].request.empty() ? talking : rest).push_back(points[i]);
    int status = THINGS_OK;
    while (!rest.empty()) { // one request serves all points that share it
        const std::string& request = points_[rest.front()].request;
        auto others = std::stable_partition(rest.begin(), rest.end(), [this, &request](std::uint32_t point) {
            return points_[point].request == request;
        });
        std::vector<std::uint32_t> group(rest.begin(), others);
        int result = ask(request, group, patience);
        if (result == THINGS_INTERRUPTED || !stream_)
            return result;
        if (result != THINGS_OK)
            status = result;
        rest.erase(rest.begin(), others);
    }
    if (talking.empty())
        return status;
    if (!have_values(talking))
        status = run(patience, &talking);
    tell_reasons();
    repeat(talking);
    return status;
}

int SerialSource::listen(std::int64_t deadline_ms) {
    Patience patience{link_time(deadline_ms), &host_};
    if (has_talkers_) {
        int status = run(patience, nullptr);
        tell_reasons();
        return status;
    }
    return wait_idle(patience) == LinkOutcome::interrupted ? THINGS_INTERRUPTED : THINGS_OK;
}

int SerialSource::discover(const PluginSettings& options, std::int64_t deadline_ms) {
    constexpr milliseconds span{15'000}, span_of_speed{5'000};
    SteadyTime end = link_time(deadline_ms);
    is_discovering_ = true;
    int status = THINGS_OK;
    std::vector<things_value> speeds = options.items("baud");
    if (speeds.empty())
        status = discover_for(std::min(end, std::chrono::steady_clock::now() + span));
    for (std::size_t i = 0; i < speeds.size() && status != THINGS_INTERRUPTED && status != THINGS_FAILED;
         ++i) {
        SteadyTime now = std::chrono::steady_clock::now();
        SteadyTime next = now + (end - now) / static_cast<std::int64_t>(speeds.size() - i); // a fair share
        status = try_speed(static_cast<int>(number_of(speeds[i]).value_or(0)),
                           std::min(next, now + span_of_speed));
    }
    if (!speeds.empty() && stream_) {
        static_cast<void>(change_line(*stream_, options_.line));
        stream_->discard_input();
        reader_.reset();
    }
    is_discovering_ = false;
    return status;
}

int SerialSource::try_speed(int baud, SteadyTime end) {
    LineSettings line = options_.line;
    line.baud = baud;
    if (int status = open({end, &host_}); status != THINGS_OK)
        return status;
    std::string why = is_known_baud(baud) ? change_line(*stream_, line) : "the system knows no such speed";
    if (!why.empty()) {
        host_.report(THINGS_PROBLEM, THINGS_SOURCE, 0, "baud", fmt::format("{} baud: {}", baud, why));
        return THINGS_FAILED;
    }
    stream_->discard_input();
    reader_.reset();
    record_.on_open(monotonic_ms());
    is_first_ = true;
    int status = discover_for(end);
    if (record_.has_come())
        host_.found(fmt::format(R"({{"line":{},"heard":{}}})", json_quoted(to_text(line)),
                                json_quoted(record_.heard())));
    return status;
}

int SerialSource::discover_for(SteadyTime end) {
    Patience patience{end, &host_};
    int status = THINGS_OK;
    std::vector<std::string> asked;
    for (std::uint32_t i = 0; i < points_.size() && status != THINGS_INTERRUPTED && status != THINGS_FAILED;
         ++i) {
        if (points_[i].request.empty() ||
            std::find(asked.begin(), asked.end(), points_[i].request) != asked.end())
            continue;
        asked.push_back(points_[i].request);
        status = ask(points_[i].request, {i}, patience);
    }
    if (status != THINGS_INTERRUPTED && status != THINGS_FAILED)
        status = run(patience, nullptr);
    return status;
}

int SerialSource::plan() {
    for (const std::string& line : plan_requests(options_, points_))
        host_.found(line);
    return THINGS_OK;
}

/// Opens the link unless it is open; after a failure not before a pause that grows.
int SerialSource::open(const Patience& patience) {
    if (stream_)
        return THINGS_OK;
    if (wait_idle({std::min(open_at_, patience.deadline), patience.host}) == LinkOutcome::interrupted)
        return THINGS_INTERRUPTED;
    if (std::chrono::steady_clock::now() < open_at_) {
        problems_.begin("link", lost_why_); // for who asks meanwhile
        return THINGS_FAILED;
    }
    OpenedLink opened = options_.port.empty() ? connector_.connect(options_.host, options_.tcp_port, patience)
                                              : open_serial(options_.port, options_.line);
    if (!opened.stream && patience.is_interrupted())
        return THINGS_INTERRUPTED;
    if (!opened.stream) {
        close(opened.trouble.text);
        return THINGS_FAILED;
    }
    stream_ = std::move(opened.stream);
    pause_ = first_pause;
    last_byte_ms_ = last_frame_ms_ = monotonic_ms();
    record_.on_open(last_byte_ms_);
    is_first_ = true;
    if (std::exchange(is_lost_, false))
        problems_.end("link", options_.where() + " is open again");
    return options_.on_open.empty() ? THINGS_OK : send(options_.on_open, patience);
}

void SerialSource::close(std::string why) {
    stream_.reset();
    reader_.reset();
    is_quiet_ = true;
    open_at_ = std::chrono::steady_clock::now() + pause_;
    pause_ = std::min(pause_ * 2, longest_pause);
    is_lost_ = true;
    lost_why_ = std::move(why);
    problems_.begin("link", lost_why_);
}

/// One read, and what silence means for it.
int SerialSource::read_some(const Patience& patience) {
    std::array<std::uint8_t, 4096> bytes{};
    SteadyTime until = patience.deadline;
    if (!is_quiet_)
        until = std::min(until, link_time(last_byte_ms_) + options_.silence);
    LinkResult read = stream_->read(bytes, {until, patience.host});
    std::int64_t now = monotonic_ms();
    // Only where nothing was there to read: bytes that are read late may have come without a pause.
    if (!is_quiet_ && read.outcome == LinkOutcome::timeout &&
        now - last_byte_ms_ >= options_.silence.count()) {
        is_quiet_ = true;
        reader_.on_silence();
    }
    if (read.outcome == LinkOutcome::done) {
        is_quiet_ = false;
        last_byte_ms_ = now;
        std::string_view came(reinterpret_cast<const char*>(bytes.data()), read.count);
        record_.on_bytes(came, now);
        reader_.feed(came);
    } else if (read.outcome == LinkOutcome::damaged) {
        reader_.mark_damaged();
    } else if (read.outcome == LinkOutcome::closed) {
        close(fmt::format("{}: {}; it is opened again", options_.where(), read.error));
        return THINGS_FAILED;
    }
    look_after(now);
    return read.outcome == LinkOutcome::interrupted ? THINGS_INTERRUPTED : THINGS_OK;
}

bool SerialSource::have_values(const std::vector<std::uint32_t>& points) const {
    return std::all_of(points.begin(), points.end(),
                       [this](std::uint32_t i) { return states_[i].has_value; });
}

/// Reads until patience ends, or until each of these points has had a value.
int SerialSource::run(const Patience& patience, const std::vector<std::uint32_t>* until_value) {
    for (;;) {
        if (int status = open(patience); status != THINGS_OK)
            return status;
        // For look_after: an alarm of silence must come without a byte.
        SteadyTime next_look = std::chrono::steady_clock::now() + milliseconds(500);
        int status = read_some({std::min(patience.deadline, next_look), patience.host});
        if (status != THINGS_OK)
            return status;
        if (until_value != nullptr && have_values(*until_value))
            return THINGS_OK;
        if (std::chrono::steady_clock::now() >= patience.deadline)
            return until_value != nullptr ? THINGS_TIMEOUT : THINGS_OK;
    }
}

int SerialSource::send(std::string_view bytes, const Patience& patience) {
    // Half a request helps nobody: once begun it is sent, which the deadline of the call may not see to its
    // end.
    Patience whole{std::max(patience.deadline, std::chrono::steady_clock::now() + options_.timeout), nullptr};
    LinkResult result = stream_->write(bytes_of(bytes), whole);
    if (result.outcome == LinkOutcome::done)
        result = stream_->drain(whole);
    if (result.outcome == LinkOutcome::done)
        return THINGS_OK;
    close(fmt::format("{}: sending failed: {}", options_.where(),
                      result.error.empty() ? "the port takes no bytes" : result.error));
    return THINGS_FAILED;
}

/// Sends a request until all of its points had an outcome or the tries are used up.
int SerialSource::ask(const std::string& request, const std::vector<std::uint32_t>& points,
                      const Patience& patience) {
    Question question;
    question.open = points;
    for (int tries = 0; tries <= options_.retries; ++tries) {
        if (int status = open(patience); status != THINGS_OK)
            return status;
        SteadyTime now = std::chrono::steady_clock::now();
        // The first try is made even if others on the line have used the time up; else a late point would
        // never be read.
        if (now >= patience.deadline && tries > 0)
            break;
        if (options_.pause.count() > 0 && wait_idle({std::min(now + options_.pause, patience.deadline),
                                                     patience.host}) == LinkOutcome::interrupted)
            return THINGS_INTERRUPTED;
        if (!has_talkers_) { // late answers to an earlier request
            stream_->discard_input();
            reader_.reset();
        }
        if (int status = send(request, patience); status != THINGS_OK)
            return status;
        int status = await_answer(question, patience); // of points that are still open
        if (status != THINGS_TIMEOUT)
            return status;
        if (tries == options_.retries || std::chrono::steady_clock::now() >= patience.deadline) {
            tell_no_answer(question, request);
            return THINGS_TIMEOUT;
        }
    }
    return THINGS_TIMEOUT;
}

int SerialSource::await_answer(Question& question, const Patience& patience) {
    question.asked = std::chrono::steady_clock::now();
    question.bytes = record_.bytes();
    question.last_damage.clear();
    Patience answer{std::min(patience.deadline, question.asked + options_.timeout), patience.host};
    question_ = &question;
    int status = THINGS_OK;
    while (question.verdict == THINGS_TIMEOUT && status == THINGS_OK && stream_ &&
           std::chrono::steady_clock::now() < answer.deadline)
        status = read_some(answer);
    question_ = nullptr;
    return status != THINGS_OK ? status : question.verdict;
}

void SerialSource::tell_no_answer(const Question& question, const std::string& request) {
    const char* code = !question.last_damage.empty()      ? "damaged_answer"
                       : !question.last_frame.empty()     ? "no_match"
                       : record_.bytes() > question.bytes ? "no_frame"
                                                          : "no_answer";
    for (std::uint32_t point : question.open) {
        host_.report(THINGS_PROBLEM, THINGS_POINT, point, code,
                     why_no_answer(question, request, points_[point].rules));
        states_[point].is_failing = true;
    }
}

std::string SerialSource::why_no_answer(const Question& question, const std::string& request,
                                        const PointRules& rules) const {
    const std::string asked = fmt::format("\"{}\"", escaped(request));
    if (!question.last_damage.empty())
        return fmt::format("the answer to {} came damaged: {}; {}", asked, question.last_damage,
                           record_.counts());
    if (!question.last_frame.empty())
        return fmt::format("no answer to {} {}; the last: {}", asked, wanted(rules),
                           shown_bytes(question.last_frame));
    if (std::string why = record_.why_no_answer(question.bytes); !why.empty())
        return fmt::format("no answer to {} within {} ms: {}", asked, options_.timeout.count(), why);
    return fmt::format("no answer to {} on {} within {} ms: is the sensor on, are speed and wiring right?",
                       asked, options_.where(), options_.timeout.count());
}

int SerialSource::write(std::uint32_t index, const things_value& value, things_value& written,
                        std::int64_t deadline_ms) {
    Patience patience{link_time(deadline_ms), nullptr}; // a write that has begun is not interrupted
    if (index >= points_.size() || !points_[index].write)
        return THINGS_UNSUPPORTED;
    const SerialPoint& point = points_[index];
    std::optional<SentValue> sent = to_sent(index, value);
    std::string shown;
    std::optional<std::string> bytes =
        sent ? point.write->fill(*sent, options_.frame.checksum, shown) : std::nullopt;
    if (!bytes) {
        host_.report(THINGS_PROBLEM, THINGS_POINT, index, "value",
                     fmt::format("{} cannot hold this value in the form that write gives it", point.name));
        return THINGS_INVALID;
    }
    if (int status = open(patience); status != THINGS_OK)
        return status;
    if (!has_talkers_) {
        stream_->discard_input();
        reader_.reset();
    }
    if (int status = send(*bytes, patience); status != THINGS_OK)
        return status;
    if (point.expect || point.refuse) {
        Question question;
        question.write = &point;
        int status = await_answer(question, patience);
        bool is_silent_yes = status == THINGS_TIMEOUT && !point.expect; // it would have refused
        if (status != THINGS_OK && !is_silent_yes) {
            host_.report(THINGS_PROBLEM, THINGS_POINT, index,
                         status == THINGS_REFUSED ? "refused" : "no_answer",
                         fmt::format("writing {} with \"{}\": {}", point.name, escaped(*bytes),
                                     question.last_frame.empty()
                                         ? std::string("no answer came")
                                         : "the sensor answered \"" + escaped(question.last_frame) + "\""));
            return status;
        }
    }
    set_written(point, shown, value, written);
    return THINGS_OK;
}

} // namespace things
