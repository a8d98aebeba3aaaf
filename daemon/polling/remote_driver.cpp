// SPDX-License-Identifier: Apache-2.0
#include "polling/remote_driver.hpp"

#include "polling/host_process.hpp"
#include "polling/host_protocol.hpp"
#include "polling/host_reach.hpp"
#include "polling/keeping_sink.hpp"
#include "polling/plugin_config.hpp"
#include "polling/plugin_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::int64_t hello_time_ms = 10'000, plan_time_ms = 10'000;
constexpr std::int64_t destroy_time_ms = 3500; ///< exec gives its program up to 3 s to end
constexpr std::int64_t stop_patience_ms = 1500, tick_ms = 100;
constexpr std::int64_t look_ms = 1000; ///< for devices that were plugged in anew
constexpr std::uint64_t most_readings_a_call = 200'000;
constexpr std::size_t longest_line = 500;

class RemoteDriver final : public Driver {
public:
    RemoteDriver(const SourceWork& work, std::filesystem::path plugin, bool runs_programs,
                 const SourceOptions& options, DriverSink& sink)
        : work_(work), plugin_(std::move(plugin)), runs_programs_(runs_programs), options_(options),
          sink_(sink), attention_(epoll_create1(EPOLL_CLOEXEC)), grace_ms_(options_.grace.count()) {
        if (attention_ < 0)
            throw std::system_error(errno, std::generic_category(), "epoll");
    }
    RemoteDriver(const RemoteDriver&) = delete;
    RemoteDriver& operator=(const RemoteDriver&) = delete;
    ~RemoteDriver() override {
        process_.kill();
        ::close(attention_);
    }

    CallResult create() override;
    void destroy() override;
    CallResult poll(const std::vector<std::uint32_t>& points, std::int64_t deadline_ms) override {
        return ask({FrameType::poll, encode(PollFrame{points, deadline_ms})}, deadline_ms);
    }
    CallResult listen(std::int64_t deadline_ms) override {
        return ask({FrameType::listen, encode_time(deadline_ms)}, deadline_ms);
    }
    CallResult write(std::uint32_t point, const Value& value, std::int64_t deadline_ms) override {
        return ask({FrameType::write, encode(WriteFrame{point, value, deadline_ms})}, deadline_ms);
    }
    CallResult discover(const std::vector<Setting>& options, std::int64_t deadline_ms) override {
        return ask({FrameType::discover, encode(DiscoverFrame{options, deadline_ms})}, deadline_ms);
    }
    CallResult plan() override { return ask({FrameType::plan, {}}, steady_ms() + plan_time_ms); }
    [[nodiscard]] int attention_fd() const override { return process_.is_running() ? attention_ : -1; }
    CallResult attend() override;

    /// Starts the process; its hello or the reason why there is none.
    HelloFrame start();

private:
    CallResult ask(const HostFrame& frame, std::int64_t deadline_ms);
    CallResult die(const std::string& how);
    bool send(const std::string& bytes, std::int64_t until_ms);
    /// Waits and reads once. False if the stream has ended or makes no sense.
    bool pump(std::int64_t until_ms);
    enum class Stream : std::uint8_t { more, empty, ended };
    Stream read_socket();
    Stream drain();
    void read_messages();
    void tell_line();
    void watch(int fd);
    bool handle(const HostFrame& frame);

    const SourceWork& work_;
    const std::filesystem::path plugin_;
    const bool runs_programs_;
    const SourceOptions options_;
    DriverSink& sink_;
    int attention_;
    HostProcess process_;
    HostReach reach_; ///< of the process that runs
    std::int64_t next_look_ms_ = 0;
    HostFrameReader reader_{longest_answer};
    std::optional<CallResult> result_;
    std::optional<HelloFrame> hello_;
    std::uint64_t readings_ = 0; ///< of the present call
    std::string line_, last_line_;
    std::int64_t heard_ms_ = 0;            ///< when the last frame came
    std::int64_t grace_ms_;                ///< past its deadline by this much the process is ended
    std::optional<bool> is_clock_trusted_; ///< as it was told last
    bool is_ending_ = false;               ///< in destroy
    std::string fault_;                    ///< why the stream makes no sense
};

void RemoteDriver::watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    (void)epoll_ctl(attention_, EPOLL_CTL_ADD, fd, &event);
}

HelloFrame RemoteDriver::start() {
    HelloFrame hello;
    reader_ = HostFrameReader(longest_answer);
    hello_.reset();
    is_clock_trusted_.reset();
    grace_ms_ = options_.grace.count();
    line_.clear();
    last_line_.clear();
    reach_ = find_reach(work_, runs_programs_);
    hello.error = process_.start(options_, {plugin_, reach_.named, reach_.folders, runs_programs_});
    if (!hello.error.empty()) {
        hello.error = "its host process cannot be started: " + hello.error;
        return hello;
    }
    watch(process_.socket());
    watch(process_.messages());
    const std::int64_t until = steady_ms() + hello_time_ms;
    while (!hello_ && pump(until))
        if (steady_ms() >= until) {
            hello.error = die("did not answer in time while it was loaded").text;
            return hello;
        }
    if (hello_)
        return *hello_;
    hello.error = die("").text;
    return hello;
}

CallResult RemoteDriver::create() {
    process_.kill();
    const HelloFrame hello = start();
    if (!hello.error.empty()) {
        process_.kill();
        return {CallResult::Status::dead, hello.error, {}};
    }
    return ask({FrameType::create, encode(work_)}, steady_ms() + options_.call_time.count());
}

void RemoteDriver::destroy() {
    if (process_.is_running()) {
        is_ending_ = true;
        // ask() adds the grace again.
        (void)ask({FrameType::destroy, {}}, steady_ms() + destroy_time_ms - grace_ms_);
        process_.kill();
    }
}

CallResult RemoteDriver::ask(const HostFrame& frame, std::int64_t deadline_ms) {
    if (!process_.is_running())
        return {CallResult::Status::dead, "the plugin's host process is gone", {}};
    result_.reset();
    readings_ = 0;
    heard_ms_ = steady_ms();
    std::int64_t until = deadline_ms + grace_ms_;
    process_.interrupt(sink_.is_interrupted());
    // Before the request: a call of the plugin must not find what was true an hour ago.
    std::string bytes;
    if (const bool trusted = sink_.is_clock_trusted(); is_clock_trusted_ != trusted) {
        is_clock_trusted_ = trusted;
        bytes = encode(HostFrame{FrameType::clock, encode_time(trusted ? 1 : 0)});
    }
    if (!send(bytes += encode(frame), until))
        return die(steady_ms() >= until ? "did not take the request and had to be ended" : "");
    bool was_stopping = is_ending_ || sink_.is_stopping();
    while (!result_) {
        if (!pump(until))
            return die("");
        if (result_)
            break;
        if (sink_.is_stopping() && !was_stopping) {
            was_stopping = true;
            // A source that is stopped should be gone within the second or two that a reload waits.
            until = std::min(until, steady_ms() + stop_patience_ms);
        }
        if (frame.type == FrameType::discover && steady_ms() >= heard_ms_ + discover_silence.count())
            return die("gave no sign while it looked for devices and had to be ended");
        if (steady_ms() >= until)
            return die(was_stopping ? "did not return when the source was stopped and had to be ended"
                                    : "did not return within its deadline and had to be ended");
    }
    // Landlock opens files to it, not names.
    if (const std::int64_t now = steady_ms(); now >= next_look_ms_ && frame.type != FrameType::destroy) {
        next_look_ms_ = now + look_ms;
        if (reach_.has_changed())
            return die("was started before its device was plugged in, and has to be started anew");
    }
    return std::move(*result_);
}

/// Ends the process if it still runs, reads what it had sent, and says how it came to that. `how` is empty if
/// it went by itself.
CallResult RemoteDriver::die(const std::string& how) {
    std::string text = fault_.empty() ? how : fault_;
    if (text.empty())
        text = process_.bury(seconds(1));
    else
        process_.end();
    // What was emitted before a crash is in the socket still, and nothing that was emitted is lost.
    (void)drain();
    read_messages();
    tell_line();
    process_.kill();
    fault_.clear();
    text = "the plugin's process " + text;
    // A failed assertion or a dynamic linker says there what no status does.
    if (!last_line_.empty())
        text += fmt::format("; its last words: {}", last_line_);
    return {CallResult::Status::dead, text, {}};
}

bool RemoteDriver::send(const std::string& bytes, std::int64_t until_ms) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t count =
            ::send(process_.socket(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count > 0) {
            sent += static_cast<std::size_t>(count);
            continue;
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        const std::int64_t left = until_ms - steady_ms();
        if (left <= 0)
            return false;
        pollfd ready{process_.socket(), POLLOUT, 0};
        ::poll(&ready, 1, static_cast<int>(std::min(left, tick_ms)));
    }
    return true;
}

bool RemoteDriver::pump(std::int64_t until_ms) {
    const std::int64_t left = std::clamp<std::int64_t>(until_ms - steady_ms(), 0, tick_ms);
    // The inbox's own descriptor stays here: one that is shared, a plugin could make block.
    pollfd ready[3] = {{process_.socket(), POLLIN, 0},
                       {process_.messages(), POLLIN, 0},
                       {process_.is_interrupted() ? -1 : sink_.wake_fd(), POLLIN, 0}};
    const int count = ::poll(ready, 3, static_cast<int>(left));
    if (count <= 0)
        return true;
    if (ready[2].revents != 0)
        process_.interrupt(true);
    if (ready[1].revents != 0)
        read_messages();
    return ready[0].revents == 0 || read_socket() != Stream::ended;
}

/// What there is now, within reason.
RemoteDriver::Stream RemoteDriver::drain() {
    Stream stream = Stream::more;
    for (int i = 0; i < 1000 && stream == Stream::more; ++i)
        stream = read_socket();
    return stream;
}

RemoteDriver::Stream RemoteDriver::read_socket() {
    std::array<char, 65536> buffer; // NOLINT: filled by recv
    const ssize_t count = ::recv(process_.socket(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return Stream::empty;
    if (count <= 0)
        return Stream::ended;
    reader_.feed({buffer.data(), static_cast<std::size_t>(count)});
    while (auto frame = reader_.next())
        if (!handle(*frame)) {
            fault_ = fmt::format("sent something that makes no sense (frame {}) and had to be ended",
                                 static_cast<int>(frame->type));
            return Stream::ended;
        }
    if (reader_.is_broken())
        fault_ = "sent something that makes no sense and had to be ended";
    if (readings_ > most_readings_a_call)
        fault_ = fmt::format("emitted more than {} readings in one call and had to be ended",
                             most_readings_a_call);
    return fault_.empty() ? Stream::more : Stream::ended;
}

void RemoteDriver::read_messages() {
    std::array<char, 4096> buffer; // NOLINT: filled by read
    for (int i = 0; i < 4 && process_.messages() >= 0; ++i) {
        const ssize_t count = ::read(process_.messages(), buffer.data(), buffer.size());
        if (count == 0) {
            process_.close_messages();
            return;
        }
        if (count < 0)
            return;
        for (ssize_t k = 0; k < count; ++k) {
            const char c = buffer[static_cast<std::size_t>(k)];
            if (c == '\n')
                tell_line();
            else if (line_.size() < longest_line)
                line_ += c;
        }
    }
}

void RemoteDriver::tell_line() {
    if (line_.empty())
        return;
    last_line_ = clean_text(line_.c_str(), longest_line);
    line_.clear();
    sink_.on_event({SourceEvent::Kind::note, Level::source, 0, "stderr", last_line_, 1});
}

bool RemoteDriver::handle(const HostFrame& frame) {
    heard_ms_ = steady_ms();
    switch (frame.type) {
    case FrameType::hello:
        if (!decode(frame.payload, hello_.emplace()))
            return false;
        hello_->error = clean_text(hello_->error.c_str(), 2000);
        clean(hello_->description);
        return true;
    case FrameType::result:
        if (!decode(frame.payload, result_.emplace()))
            return false;
        result_->text = clean_text(result_->text.c_str(), 2000);
        return true;
    case FrameType::readings: {
        std::vector<RawReading> readings;
        if (!decode(frame.payload, readings))
            return false;
        readings_ += readings.size();
        sink_.on_readings(std::move(readings));
        return true;
    }
    case FrameType::garbage: {
        GarbageFrame garbage;
        if (!decode(frame.payload, garbage))
            return false;
        sink_.on_garbage(garbage.count, clean_text(garbage.why.c_str(), longest_line));
        return true;
    }
    case FrameType::event: {
        SourceEvent event;
        if (!decode(frame.payload, event))
            return false;
        event.code = clean_text(event.code.c_str(), 100);
        event.text = clean_text(event.text.c_str(), 2000);
        sink_.on_event(std::move(event));
        return true;
    }
    case FrameType::problem: {
        SettingProblem problem;
        if (!decode(frame.payload, problem))
            return false;
        problem.message = clean_text(problem.message.c_str(), 2000);
        sink_.on_problem(std::move(problem));
        return true;
    }
    case FrameType::found:
        sink_.on_found(clean_text(frame.payload.c_str(), frame.payload.size()));
        return true;
    case FrameType::progress: {
        double part = 0;
        const bool is_good = decode(frame.payload, part) && part >= 0 && part <= 1;
        if (is_good)
            sink_.on_progress(part);
        return is_good;
    }
    case FrameType::patience: {
        std::int64_t time = 0;
        if (!decode(frame.payload, time) || time <= 0 || time > longest_patience.count())
            return false;
        grace_ms_ = std::max(grace_ms_, 2 * time); // as the source's thread has it
        sink_.on_patience(Milliseconds(time));
        return true;
    }
    default:
        return false;
    }
}

CallResult RemoteDriver::attend() {
    read_messages();
    if (!process_.is_running())
        return {CallResult::Status::dead, "the plugin's host process is gone", {}};
    readings_ = 0;
    return drain() == Stream::ended ? die("") : CallResult();
}

} // namespace

std::unique_ptr<Driver> make_remote_driver(const SourceWork& work, const std::filesystem::path& plugin,
                                           bool runs_programs, const SourceOptions& options,
                                           DriverSink& sink) {
    return std::make_unique<RemoteDriver>(work, plugin, runs_programs, options, sink);
}

HelloFrame ask_plugin(const std::filesystem::path& file, const SourceOptions& options) {
    KeepingSink sink;
    const SourceWork none;
    SourceOptions harmless = options;
    harmless.harmless_host = true; // it needs no device: nobody's rights are enough
    RemoteDriver driver(none, file, false, harmless, sink);
    return driver.start();
}

} // namespace things
