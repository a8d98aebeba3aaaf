// SPDX-License-Identifier: Apache-2.0
#include "polling/source_thread.hpp"

#include <fmt/format.h>

#include <algorithm>

// What a plugin says during a call, and what the loop sees of the thread from outside.
namespace things {

namespace {
constexpr std::size_t most_problems = 100, most_found = 100'000;
constexpr std::int64_t refused_every_ms = 60'000;
} // namespace

void SourceThread::on_readings(std::vector<RawReading> readings) {
    const std::int64_t now = outlet_.boot_ms();
    progress_ms_ = steady_ms();
    std::optional<std::uint32_t> by_hand;
    if (wanted_point_ >= 0)
        by_hand = static_cast<std::uint32_t>(wanted_point_);
    Intake::Result result = intake_.take(std::move(readings), now, outlet_.stamp(), by_hand);
    flooded_ += result.flood;
    if (result.refused > 0)
        on_garbage(result.refused, result.why);
    emitted_ += result.readings.size();
    bool is_news = false;
    for (const PointReading& reading : result.readings) {
        heard_points_[reading.point] = call_number_;
        // One that talks by itself shows its last value again to whoever reads by hand: that is no news.
        if (!listens_ || by_hand != reading.point) {
            is_news = true;
            silence_.on_reading(reading.point, now);
        }
        if (events_.is_failing(Level::point, reading.point))
            on_event(
                {SourceEvent::Kind::recovered, Level::point, reading.point, "", "it can be read again", 1});
        if (by_hand && reading.point == *by_hand)
            wanted_ = reading;
    }
    if (is_news) {
        last_words_.clear(); // of a trouble that is over
        if (const auto failure = events_.failure(Level::source, 0);
            failure && failure->code == Silence::code) {
            on_event({SourceEvent::Kind::recovered, Level::source, 0, "", "it gives values again", 1});
            set_state("running", true);
        }
    }
    held_ = intake_.held();
    reading_count_ += result.readings.size();
    outlet_.send(std::move(result.readings));
    tell_refused(now);
}

void SourceThread::on_garbage(std::uint64_t count, const std::string& why) {
    refused_ += count;
    refused_why_ = why;
    tell_refused(outlet_.boot_ms());
}

void SourceThread::tell_refused(std::int64_t now_ms) {
    if (refused_ + flooded_ == 0 || (refused_told_ms_ != 0 && now_ms - refused_told_ms_ < refused_every_ms))
        return;
    refused_told_ms_ = now_ms;
    SourceEvent event;
    event.code = refused_ > 0 ? "garbage" : "flood";
    if (refused_ > 0)
        event.text = fmt::format("refused {} from the plugin ({} such readings); ", refused_why_, refused_);
    if (flooded_ > 0)
        event.text += fmt::format("dropped {} readings beyond what the intervals allow; ", flooded_);
    event.text += "this is a bug in the plugin";
    event.count = refused_ + flooded_;
    refused_ = flooded_ = 0;
    publish(events_.feed(std::move(event), now_ms));
}

void SourceThread::on_event(SourceEvent event) {
    const std::size_t most = event.level == Level::point    ? heard_points_.size()
                             : event.level == Level::device ? heard_devices_.size()
                                                            : 1;
    if (event.index >= most) {
        on_garbage(1, fmt::format("an event about number {} of {}", event.index, most));
        return;
    }
    // An event without a code could not end: the filter takes "" for none.
    if (event.code.empty())
        event.code = "failed";
    if (event.kind == SourceEvent::Kind::reason)
        return silence_.on_reason(event.level, event.index, std::move(event.text));
    if (event.kind == SourceEvent::Kind::note && event.code == "stderr")
        last_words_ = event.text;
    else if (event.kind == SourceEvent::Kind::note)
        noted_ = event.text;
    // A word about a point that has no value is the reason for that, if there is no better one.
    if (event.kind == SourceEvent::Kind::note && event.level == Level::point)
        silence_.on_reason(event.level, event.index, event.text);
    if (event.kind == SourceEvent::Kind::problem) {
        said_ = event.text;
        if (is_discovering_ && event.level == Level::source)
            return; // no alarm: polling with the source's own settings may go on as well as before
        if (event.level == Level::point)
            heard_points_[event.index] = call_number_;
        else if (event.level == Level::device)
            heard_devices_[event.index] = call_number_;
        else
            heard_source_ = call_number_;
    }
    publish(events_.feed(std::move(event), outlet_.boot_ms()));
}

void SourceThread::on_problem(SettingProblem problem) {
    if (problems_.size() < most_problems)
        problems_.push_back(std::move(problem));
}

void SourceThread::on_found(std::string json) {
    progress_ms_ = steady_ms();
    // A scan that was interrupted starts over and finds the same again.
    if (found_.size() < most_found && found_.insert(json).second)
        outlet_.found(std::move(json));
}

void SourceThread::on_progress(double part) {
    progress_ms_ = steady_ms();
    outlet_.progress(part);
}

void SourceThread::on_patience(Milliseconds time) {
    call_time_ms_ = std::max<std::int64_t>(options_.call_time.count(), time.count());
    // Two steps may begin right before the deadline: connecting, then the first request.
    grace_ms_ = std::max<std::int64_t>(options_.grace.count(), 2 * time.count());
}

void SourceThread::look_for_silence(std::int64_t now_ms) {
    if (!created_)
        return;
    for (SourceEvent& event : silence_.due(now_ms, events_)) {
        if (event.level == Level::source)
            set_state("silent", false);
        publish(events_.feed(std::move(event), now_ms));
    }
}

void SourceThread::publish(const std::vector<SourceEvent>& events) {
    for (const SourceEvent& event : events)
        outlet_.send(event);
}

void SourceThread::complain(const std::string& code, const std::string& text) {
    faulty_ = true;
    on_event({SourceEvent::Kind::problem, Level::source, 0, code, text, 1});
}

void SourceThread::set_state(std::string state, bool healthy) {
    const std::lock_guard lock(state_mutex_);
    state_ = std::move(state);
    healthy_ = healthy;
}

bool SourceThread::is_hanging(std::string& text) {
    const std::int64_t until = call_until_ms_, now = steady_ms();
    // A discovery may take minutes, but it says how far it is.
    const bool is_mute = is_in_discovery_ && now > std::max<std::int64_t>(progress_ms_, call_since_ms_) +
                                                       discover_silence.count();
    if (until == 0 || (now <= until + grace_ms_ && !is_mute))
        return false;
    const std::lock_guard lock(state_mutex_);
    text = fmt::format("hanging since {} s in {}", (now - call_since_ms_) / 1000, call_name_);
    return true;
}

SourceStatus SourceThread::status() {
    SourceStatus status;
    status.polls = poll_count_;
    status.readings = reading_count_;
    status.missed = missed_;
    status.restarts = restart_count_;
    status.busy_us = busy_us_;
    // A thread that waits is alive by definition: something wakes it.
    const std::int64_t idle = call_until_ms_ == 0 ? 0 : steady_ms() - progress_ms_;
    const std::int64_t now = outlet_.boot_ms();
    status.progress_boot_ms = now - std::max<std::int64_t>(0, idle);
    if (is_hanging(status.state)) {
        status.healthy = false;
        return status;
    }
    const std::lock_guard lock(state_mutex_);
    status.state = state_;
    status.healthy = healthy_;
    if (const std::int64_t retry = retry_at_ms_; retry != 0)
        status.state = fmt::format("restarting in {} s: {}",
                                   std::max<std::int64_t>(0, retry - now + 999) / 1000, state_);
    return status;
}

void SourceThread::check() {
    std::string text;
    if (!is_hanging(text))
        return;
    if (!hang_told_.exchange(true))
        outlet_.send({SourceEvent::Kind::problem, Level::source, 0, "hanging",
                      fmt::format("the plugin is {}: it ignores its deadline. The other sources go on; with "
                                  "`isolation: process` it would be ended and started again",
                                  text),
                      1});
    outlet_.dismiss(BusResult::Status::timeout, "the plugin is " + text);
    for (Request& request : inbox_.drain())
        Outlet::dismiss(std::move(request), BusResult::Status::failed, "the plugin is " + text);
}

void SourceThread::abandon() {
    std::string text = "the plugin hangs, the source was stopped without it";
    outlet_.dismiss(BusResult::Status::stopped, text);
    outlet_.lose(held_);
    outlet_.cut();
    for (Request& request : inbox_.drain())
        Outlet::dismiss(std::move(request), BusResult::Status::stopped, text);
}

} // namespace things
