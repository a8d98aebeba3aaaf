// SPDX-License-Identifier: Apache-2.0
#include "polling/source_thread.hpp"

#include <fmt/format.h>

// What a source is asked for by hand or by a command: write, read, discover.
namespace things {

namespace {

constexpr std::int64_t discover_time_ms = 600'000;
constexpr int most_discoveries = 10;

BusResult::Status bus_status(CallResult::Status status) {
    switch (status) {
    case CallResult::Status::ok:
        return BusResult::Status::ok;
    case CallResult::Status::refused:
    case CallResult::Status::invalid:
        return BusResult::Status::refused;
    case CallResult::Status::timeout:
        return BusResult::Status::timeout;
    case CallResult::Status::unsupported:
        return BusResult::Status::unsupported;
    case CallResult::Status::interrupted:
    case CallResult::Status::failed:
    case CallResult::Status::dead:
        break;
    }
    return BusResult::Status::failed;
}

} // namespace

void SourceThread::serve(const WriteRequest& request) {
    if (request.point >= work_.points.size()) {
        outlet_.dismiss(BusResult::Status::refused, "there is no such point");
        return;
    }
    // Here, on the bus's own turn: a command that waited behind a slow poll may be too old by now.
    if (outlet_.boot_ms() > request.not_after_boot_ms) {
        outlet_.dismiss(BusResult::Status::failed, "not written: it waited too long for its turn on the bus");
        return;
    }
    const auto raw = remove_labels(intake_.labels(request.point), request.value);
    if (!raw) {
        outlet_.dismiss(BusResult::Status::refused, "the word is none of the point's labels");
        return;
    }
    const std::int64_t start = steady_us();
    const CallResult result = call(Urgency::write, "write", call_time_ms_,
                                   [&] { return driver_->write(request.point, *raw, deadline_ms()); });
    BusResult answer = outcome(result, static_cast<std::uint32_t>(steady_us() - start));
    if (answer.status == BusResult::Status::stopped) // begun: whether it was written must be looked up
        answer.status = BusResult::Status::timeout;
    if (result.written)
        answer.value = apply_labels(intake_.labels(request.point), *result.written);
    if (result.status == CallResult::Status::dead) {
        answer.status = BusResult::Status::timeout;
        answer.text += "; whether the value was written is not known";
    }
    outlet_.answer(std::move(answer));
    survived(result);
}

void SourceThread::serve(const ReadRequest& request) {
    if (request.point >= work_.points.size()) {
        outlet_.dismiss(BusResult::Status::refused, "there is no such point");
        return;
    }
    if (work_.points[request.point].config.write_only) {
        outlet_.dismiss(BusResult::Status::unsupported, "it is write_only: it can be written, never read");
        return;
    }
    // The reading goes to who asked; the point's report rules are left out for it.
    wanted_point_ = request.point;
    wanted_.reset();
    const std::int64_t start = steady_us();
    const CallResult result = call(Urgency::read, "read", call_time_ms_,
                                   [&] { return driver_->poll({request.point}, deadline_ms()); });
    wanted_point_ = -1;
    if (result.status == CallResult::Status::interrupted && !wanted_ && inbox_.is_interrupted() &&
        !inbox_.is_closed() && outlet_.put_back(inbox_))
        return; // a write came in between
    BusResult answer = outcome(result, static_cast<std::uint32_t>(steady_us() - start));
    if (wanted_) {
        answer.status = BusResult::Status::ok;
        answer.value = std::move(wanted_->value);
        answer.stamp = wanted_->stamp;
        answer.raw = std::move(wanted_->raw);
        answer.text.clear();
        if (wanted_->duration_us != 0)
            answer.duration_us = wanted_->duration_us;
    } else {
        if (answer.status == BusResult::Status::ok)
            answer.status = BusResult::Status::failed;
        answer.text = why_empty(request.point, !result.text.empty() ? result.text : said_);
    }
    outlet_.answer(std::move(answer));
    survived(result);
}

std::string SourceThread::why_empty(std::uint32_t point, std::string said) const {
    std::string text = std::move(said);
    if (text.empty())
        text = silence_.reason_for(point);
    if (text.empty())
        text = noted_;
    const std::pair<Level, std::uint32_t> subjects[] = {
        {Level::point, point}, {Level::device, work_.points[point].device}, {Level::source, 0}};
    for (const auto& [level, index] : subjects)
        if (const auto failure = events_.failure(level, index); text.empty() && failure)
            text = failure->text;
    if (text.empty())
        text = listens_ ? fmt::format("nothing has come from the device within {} s; it talks by itself",
                                      call_time_ms_ / 1000)
                        : "no value came, and the plugin gave no reason";
    if (!last_words_.empty() && text.find(last_words_) == std::string::npos)
        text += fmt::format("; its last words on standard error: {}", last_words_);
    return text;
}

void SourceThread::serve(const DiscoverRequest& request) {
    is_discovering_ = true;
    is_in_discovery_ = true;
    const CallResult result = call(Urgency::discover, "discover", discover_time_ms, [&] {
        return driver_->discover(request.options, steady_ms() + discover_time_ms);
    });
    is_discovering_ = is_in_discovery_ = false;
    const bool interrupted = result.status == CallResult::Status::interrupted;
    // Commands and readings by hand go first. The plugin then starts over; what it finds again is left out.
    if (interrupted && inbox_.is_interrupted() && !inbox_.is_closed() && ++discoveries_ < most_discoveries &&
        outlet_.put_back(inbox_))
        return;
    discoveries_ = 0;
    found_.clear();
    std::string error;
    if (interrupted && inbox_.is_closed())
        error = "the source has stopped";
    else if (result.status != CallResult::Status::ok)
        error = !said_.empty() ? said_ : !result.text.empty() ? result.text : "the plugin gave no reason";
    outlet_.finish_discovery(std::move(error));
    survived(result);
}

BusResult SourceThread::outcome(const CallResult& result, std::uint32_t duration_us) const {
    BusResult answer;
    answer.status = bus_status(result.status);
    answer.duration_us = duration_us;
    answer.text = !result.text.empty() ? result.text : !said_.empty() ? said_ : noted_;
    if (inbox_.is_closed() && result.status == CallResult::Status::interrupted)
        answer.status = BusResult::Status::stopped;
    return answer;
}

} // namespace things
