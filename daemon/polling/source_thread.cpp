// SPDX-License-Identifier: Apache-2.0
#include "polling/source_thread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <csignal>
#include <ctime>
#include <poll.h>
#include <sys/prctl.h>

namespace things {

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr unsigned long timer_slack_ns = 1000; ///< samples start on the beat; nobody else's timers change
constexpr std::int64_t create_time_ms = 5000, tidy_every_ms = 1000;
constexpr std::int64_t first_listen_pause_ms = 1000, longest_listen_pause_ms = 30'000;

std::vector<TimedPoint> timing_of(const SourceWork& work) {
    std::vector<TimedPoint> points;
    points.reserve(work.points.size());
    for (const SourcePoint& point : work.points) {
        const std::string& device = point.device < work.devices.size() ? work.devices[point.device].name : "";
        // What can only be written is never due.
        points.push_back({point.device, point.config.write_only ? never_due : point.config.interval.count(),
                          phase_seed(work.config.name, device)});
    }
    return points;
}

std::int64_t passed_of_millisecond_ns() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_nsec % 1'000'000;
}

} // namespace

std::int64_t steady_us() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

SourceThread::SourceThread(std::shared_ptr<const SourceWork> work, bool listens, bool polls,
                           const MakeDriver& make_driver, const Clock& clock, SourceListener& listener,
                           const SourceOptions& options)
    : shared_work_(std::move(work)), options_(options), listens_(listens), polls_(polls),
      outlet_(clock, listener, options.now, options.is_clock_trusted),
      schedule_(polls ? timing_of(work_) : std::vector<TimedPoint>(), clock.boot_ms()), intake_(work_),
      silence_(work_, polls, options.silence), driver_(make_driver(work_, *this)),
      heard_points_(work_.points.size()), heard_devices_(work_.devices.size()),
      call_time_ms_(options.call_time.count()), grace_ms_(options.grace.count()) {}

void SourceThread::run() noexcept {
    sigset_t all; // signals are for the loop's thread; a broken pipe is for nobody
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    // Of this thread only; the kernel's default is 50 us.
    prctl(PR_SET_TIMERSLACK, timer_slack_ns, 0, 0, 0);
    try {
        while (!inbox_.is_closed()) {
            try {
                turn();
            } catch (const std::exception& error) {
                stumble(error.what());
            } catch (...) {
                stumble("an unknown exception");
            }
        }
        end();
    } catch (...) {
        is_broken_ = true;
        set_state("stopped by a fault of the gateway", false);
    }
    // Closed before it is emptied: what comes later is answered by whoever posts it.
    inbox_.close();
    outlet_.dismiss(BusResult::Status::failed, broken_text);
    for (Request& request : inbox_.drain())
        if (is_broken_)
            Outlet::dismiss(std::move(request), BusResult::Status::failed, broken_text);
        else
            Outlet::dismiss(std::move(request), BusResult::Status::stopped, "the source has stopped");
}

void SourceThread::stumble(const std::string& what) {
    call_until_ms_ = 0;
    wanted_point_ = -1;
    is_discovering_ = is_in_discovery_ = false;
    const std::string text = fmt::format("a fault of the gateway in the source's thread: {}", what);
    outlet_.dismiss(BusResult::Status::failed, text);
    // A plugin that was left in the middle of a call is not called again as if nothing had happened.
    if (std::exchange(created_, false))
        (void)call(Urgency::write, "destroy", create_time_ms, [this] {
            driver_->destroy();
            return CallResult();
        });
    bury(text);
}

void SourceThread::turn() {
    const std::int64_t now = outlet_.boot_ms();
    tidy(now);
    if (!created_ && now >= create_at_ms_ && !create())
        return;
    if (auto request = inbox_.take()) {
        if (created_)
            serve(std::move(*request));
        else
            Outlet::dismiss(std::move(*request), BusResult::Status::failed, "the plugin is down: " + said_);
        return;
    }
    // Before waiting: what is posted from now on must wake this thread up.
    inbox_.begin(Urgency::poll);
    if (!created_) {
        wait(create_at_ms_);
        return;
    }
    const std::int64_t due = schedule_.next(now);
    if (due <= now)
        poll(now);
    else if (listens_ && now >= listen_at_ms_)
        listen(now);
    else
        wait(std::min(due, listens_ ? listen_at_ms_ : never));
}

void SourceThread::tidy(std::int64_t now_ms) {
    if (now_ms < tidy_at_ms_)
        return;
    tidy_at_ms_ = now_ms + tidy_every_ms;
    publish(events_.due(now_ms));
    outlet_.send(intake_.due(now_ms));
    held_ = intake_.held();
    tell_refused(now_ms);
    look_for_silence(now_ms);
}

bool SourceThread::create() {
    problems_.clear();
    const CallResult result =
        call(Urgency::write, "create", create_time_ms, [this] { return driver_->create(); });
    if (result.status == CallResult::Status::dead) {
        bury(result.text);
        return false;
    }
    if (result.status == CallResult::Status::ok) {
        created_ = true;
        retry_at_ms_ = 0;
        silence_.on_create(outlet_.boot_ms());
        set_state("running", true);
        return true;
    }
    std::string text = result.text;
    for (const SettingProblem& problem : problems_)
        text +=
            (text.empty() ? "" : "; ") + (problem.key.empty() ? "" : problem.key + ": ") + problem.message;
    const std::int64_t now = outlet_.boot_ms();
    const std::int64_t pause = restarts_.after_death(now);
    create_at_ms_ = now + pause;
    said_ = text.empty() ? "the plugin could not make the source and gave no reason" : text;
    complain("create", said_);
    go_down(said_);
    return false;
}

/// Runs one call of the plugin; sees to what is visible from outside while it lasts.
CallResult SourceThread::call(Urgency urgency, const char* what, std::int64_t time_ms,
                              const std::function<CallResult()>& function) {
    inbox_.begin(urgency);
    ++call_number_;
    emitted_ = 0;
    said_.clear();
    noted_.clear();
    {
        const std::lock_guard lock(state_mutex_);
        call_name_ = what;
    }
    const std::int64_t start_us = steady_us();
    call_since_ms_ = start_us / 1000;
    call_until_ms_ = start_us / 1000 + time_ms;
    CallResult result = function();
    call_until_ms_ = 0;
    busy_us_ += static_cast<std::uint64_t>(steady_us() - start_us);
    progress_ms_ = steady_ms();
    if (hang_told_.exchange(false))
        outlet_.send({SourceEvent::Kind::recovered, Level::source, 0, "hanging",
                      fmt::format("{} came back after {} s", what, (steady_us() - start_us) / 1'000'000), 1});
    return result;
}

/// What the host itself found wrong with a call, and the end of that. False if the plugin is gone.
bool SourceThread::survived(const CallResult& result) {
    if (result.status == CallResult::Status::dead) {
        bury(result.text);
        return false;
    }
    if (!result.text.empty() && result.status != CallResult::Status::unsupported) {
        said_ = result.text;
        complain("plugin", result.text);
    } else if (faulty_ && created_) {
        faulty_ = false;
        on_event({SourceEvent::Kind::recovered, Level::source, 0, "plugin", "the plugin works again", 1});
    }
    return true;
}

void SourceThread::bury(const std::string& text) {
    const std::int64_t now = outlet_.boot_ms();
    const std::int64_t pause = restarts_.after_death(now);
    created_ = false;
    create_at_ms_ = now + pause;
    ++restart_count_;
    said_ = text;
    // A word of its own: that it waits for minutes now is news, where one more death is not.
    complain(restarts_.in_quarantine() ? "quarantine" : "died",
             fmt::format("{}; it is started again in {} s{}", text, pause / 1000,
                         restarts_.in_quarantine() ? " (it died three times within ten minutes)" : ""));
    go_down(text);
}

void SourceThread::go_down(const std::string& reason) {
    set_state(reason, false);
    retry_at_ms_ = create_at_ms_;
}

void SourceThread::serve(Request request) {
    outlet_.expect(request);
    std::visit([this](const auto& asked) { serve(asked); }, request);
}

void SourceThread::poll(std::int64_t now_ms) {
    const std::vector<std::uint32_t> points = schedule_.take(now_ms);
    const std::int64_t start = steady_us();
    const CallResult result =
        call(Urgency::poll, "poll", call_time_ms_, [&] { return driver_->poll(points, deadline_ms()); });
    ++poll_count_;
    if (emitted_ == 0)
        silence_.on_poll();
    std::vector<std::uint32_t> left;
    if (result.status == CallResult::Status::interrupted)
        left = unanswered(points);
    // A call that ran into its deadline without a single answer would be repeated for ever before others.
    if (left.size() == points.size() && !inbox_.is_interrupted())
        left.clear();
    schedule_.done(outlet_.boot_ms(), (steady_us() - start) / 1000, left);
    missed_ = schedule_.missed();
    survived(result);
}

std::vector<std::uint32_t> SourceThread::unanswered(const std::vector<std::uint32_t>& points) const {
    std::vector<std::uint32_t> left;
    for (const std::uint32_t point : points) {
        const std::uint32_t device = work_.points[point].device;
        const bool heard = heard_source_ == call_number_ || heard_points_[point] == call_number_ ||
                           (device < heard_devices_.size() && heard_devices_[device] == call_number_);
        if (!heard)
            left.push_back(point);
    }
    return left;
}

void SourceThread::listen(std::int64_t now_ms) {
    const std::int64_t time = std::max<std::int64_t>(
        1, std::min<std::int64_t>(options_.call_time.count(), schedule_.next(now_ms) - now_ms));
    const CallResult result =
        call(Urgency::poll, "listen", time, [&] { return driver_->listen(steady_ms() + time); });
    const std::int64_t after = outlet_.boot_ms();
    if (!survived(result))
        return;
    if (result.status == CallResult::Status::ok || result.status == CallResult::Status::interrupted ||
        result.status == CallResult::Status::timeout) {
        listen_pause_ms_ = 0;
        // One that returns at once with nothing must not turn the thread into a heater.
        if (emitted_ == 0 && after - now_ms < time / 2 && !inbox_.is_interrupted())
            listen_at_ms_ = after + 20;
        return;
    }
    listen_pause_ms_ = std::clamp(listen_pause_ms_ * 2, first_listen_pause_ms, longest_listen_pause_ms);
    listen_at_ms_ = after + listen_pause_ms_;
}

void SourceThread::wait(std::int64_t until_ms) {
    // The clock counts whole milliseconds; what has passed of this one would make each beat late. Read first:
    // a wait that is too short is only repeated.
    const std::int64_t passed_ns = passed_of_millisecond_ns();
    const std::int64_t now = outlet_.boot_ms();
    std::int64_t time = std::min<std::int64_t>(until_ms - now, 60'000);
    if (intake_.aggregates())
        time = std::min(time, tidy_every_ms);
    if (time <= 0)
        return;
    const std::int64_t left_ns = time * 1'000'000 - passed_ns;
    const timespec left{static_cast<std::time_t>(left_ns / 1'000'000'000),
                        static_cast<long>(left_ns % 1'000'000'000)};
    pollfd ready[2] = {{inbox_.wake_fd(), POLLIN, 0}, {driver_->attention_fd(), POLLIN, 0}};
    const int count = ::ppoll(ready, ready[1].fd >= 0 ? 2 : 1, &left, nullptr);
    progress_ms_ = steady_ms();
    if (count > 0 && ready[1].fd >= 0 && ready[1].revents != 0)
        survived(driver_->attend());
}

void SourceThread::end() {
    // First: a plugin that hangs in destroy must not take the present window along.
    outlet_.send(intake_.due(outlet_.boot_ms(), true));
    held_ = 0;
    if (created_) {
        (void)call(Urgency::write, "destroy", create_time_ms, [this] {
            driver_->destroy();
            return CallResult();
        });
        created_ = false;
    }
    outlet_.send(intake_.due(outlet_.boot_ms(), true));
    set_state("stopped", true);
}

} // namespace things
