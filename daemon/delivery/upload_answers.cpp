// SPDX-License-Identifier: Apache-2.0
#include "delivery/upload_work.hpp"

#include "platform/log.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace things {

namespace {

// A refusal may be a passing trouble of the platform; a minute later it most often is over.
constexpr std::int64_t recheck_after_ms = 60'000;
// They are held in memory until then.
constexpr std::size_t most_rechecks = 64;
// A search among n readings is refused log2(n) + 1 times in a row at worst, if one of them is poisoned.
constexpr int most_refusals_in_a_row = 24;
constexpr int most_too_large = 3; // in a row that are set aside at once
constexpr std::size_t most_next_answers = 64;
constexpr std::int64_t dead_log_interval_ms = 60'000;
constexpr std::int64_t retry_log_interval_ms = 600'000;
// A network that changed needs a moment before it carries anything.
constexpr std::int64_t cancelled_wait_ms = 1000;
// A device that alone fails for so long needs somebody, although the uplink as a whole is well.
constexpr std::int64_t failing_told_ms = 300'000;

} // namespace

Circumstances UploadWork::around(const DeviceUpload& device) const {
    return {host_, device.device.name, device.device.dvnuuid, clock_.wall_ms(), hooks_.is_clock_plausible()};
}

void UploadWork::settle(const Flight& flight, Fate fate, const std::string& reason) {
    // What was repeated for a downlink is no longer in the queue.
    if (flight.purpose != Purpose::repeat)
        backlog_.settle(*flight.slice.batch, flight.slice.from, flight.slice.count, fate, reason);
}

void UploadWork::keep(const Slice& slice) {
    backlog_.settle(*slice.batch, slice.from, slice.count, Fate::kept, {});
}

void UploadWork::on_answer(DeviceId id, const Answer& answer) {
    DeviceUpload* device = find(id);
    if (device == nullptr || !device->flight)
        return; // settled when the uploader was closed
    Flight flight = std::move(*device->flight);
    device->flight.reset();
    const Verdict verdict = judge(answer, clock_.wall_ms());
    const std::int64_t now = clock_.boot_ms();
    tell_date(answer);
    ++totals_.answers.at(static_cast<std::size_t>(classify(answer)));
    device->stats.last_status = answer.status;
    device->stats.last_answer = verdict.reason;
    if (answer.error == TransportError::none)
        device->stats.latency = totals_.latency = answer.duration;
    const std::uint64_t failures_before = uplink_.failures();
    on_uplink(uplink_.on_answer(id, verdict, devices_.size() == 1, now, hooks_.random()), *device, answer);
    // Before its readings are settled: the backlog keeps a command not later than that.
    if (verdict.next == Next::delivered && !answer.body.empty() && !device->is_removed)
        hooks_.on_answer(id, answer.body);
    if (verdict.next == Next::delivered_with_error && !device->is_removed)
        hooks_.on_broken_answer(id, verdict.reason);
    switch (verdict.next) {
    case Next::delivered:
    case Next::delivered_with_error:
        on_delivered(*device, flight, answer);
        break;
    case Next::retry:
    case Next::misdirected:
        on_retry(*device, std::move(flight), answer, verdict);
        break;
    case Next::park:
        on_refused_device(*device, flight, answer);
        break;
    case Next::halve:
        on_too_large(*device, flight, answer, verdict);
        break;
    case Next::bisect:
        on_refused_content(*device, flight, answer, verdict);
        break;
    }
    device->last = explain(answer, around(*device));
    const bool is_uplink_failure = uplink_.failures() != failures_before;
    if (is_uplink_failure) {
        uplink_last_ = device->last;
        uplink_status_ = answer.status;
    }
    const bool is_accepted = verdict.next == Next::delivered || verdict.next == Next::delivered_with_error;
    PostResult result{is_accepted, answer.status, {}};
    if (!next_answers_.empty())
        result.text = device->last.text();
    release(*device);
    tell_waiting(id, result, is_uplink_failure);
}

void UploadWork::on_next_answer(DeviceId id, std::function<void(const PostResult&)> handler) {
    const DeviceUpload* device = find(id);
    if (device == nullptr || is_closed_)
        return;
    if (next_answers_.size() >= most_next_answers)
        next_answers_.erase(next_answers_.begin());
    next_answers_.push_back({id, std::move(handler), device->flight.has_value()});
}

void UploadWork::tell_waiting(DeviceId id, const PostResult& result, bool is_uplink_failure) {
    if (next_answers_.empty())
        return;
    const std::int64_t now = clock_.boot_ms();
    const DeviceUpload* device = find(id);
    const auto plan = device == nullptr || uplink_.is_down()
                          ? std::nullopt
                          : device->plan(backlog_.waiting(id), things_, batch_, is_flushing_, now);
    const bool is_another_next = plan && plan->when_ms <= now;
    std::vector<NextAnswer> still_waiting;
    for (NextAnswer& next : next_answers_) {
        const DeviceUpload* other = find(next.device);
        const bool is_its_answer = next.device == id
                                       ? !(std::exchange(next.is_second, false) && is_another_next)
                                       : is_uplink_failure && other != nullptr && !other->flight;
        if (is_its_answer)
            boost::asio::post(loop_, [handler = std::move(next.handler), result] { handler(result); });
        else
            still_waiting.push_back(std::move(next));
    }
    next_answers_ = std::move(still_waiting);
}

void UploadWork::on_uplink(Uplink::Change change, const DeviceUpload& device, const Answer& answer) {
    if (change == Uplink::Change::none)
        return;
    if (change == Uplink::Change::came_up) {
        told_causes_.clear();
        const std::string text = fmt::format("{} answers again, after {} s", host_,
                                             (clock_.boot_ms() - uplink_.down_since_ms()) / 1000);
        log::info("upload: {}", text);
        if (std::exchange(is_down_told_, false))
            hooks_.on_recovered({UploadAlarm::Kind::uplink_down, std::nullopt, text});
        if (std::exchange(is_misdirected_told_, false))
            hooks_.on_recovered({UploadAlarm::Kind::misdirected, std::nullopt, text});
        return;
    }
    const std::string text = explain(answer, around(device)).text();
    if (change == Uplink::Change::went_down)
        return log::write(log::Level::warning, fmt::format("upload: {} Trying again by itself.", text),
                          {{"VERDICT", device.stats.last_answer}});
    const bool is_misdirected = judge(answer, clock_.wall_ms()).next == Next::misdirected;
    const bool is_alarm =
        change != Uplink::Change::changed || is_misdirected || is_down_told_ || is_misdirected_told_;
    if (is_news(answer))
        log::write(is_alarm ? log::Level::error : log::Level::warning, "upload: " + text,
                   {{"VERDICT", device.stats.last_answer}});
    if (!is_alarm)
        return;
    // One cause at a time: the other alarm would go on telling what is no longer true.
    bool& told = is_misdirected ? is_misdirected_told_ : is_down_told_;
    bool& other = is_misdirected ? is_down_told_ : is_misdirected_told_;
    const auto kind = is_misdirected ? UploadAlarm::Kind::misdirected : UploadAlarm::Kind::uplink_down;
    const auto other_kind = is_misdirected ? UploadAlarm::Kind::uplink_down : UploadAlarm::Kind::misdirected;
    told = true;
    if (std::exchange(other, false))
        hooks_.on_recovered({other_kind, std::nullopt, text});
    hooks_.on_alarm({kind, std::nullopt, text});
}

/// A cause that comes and goes during one outage is a line of the log now and then, not at each change.
bool UploadWork::is_news(const Answer& answer) {
    const std::int64_t now = clock_.boot_ms();
    const auto [at, is_new] = told_causes_.try_emplace(judge(answer, clock_.wall_ms()).cause, now);
    return is_new || now - std::exchange(at->second, now) >= retry_log_interval_ms;
}

void UploadWork::on_delivered(DeviceUpload& device, const Flight& flight, const Answer& answer) {
    settle(flight, Fate::accepted);
    const Slice& slice = flight.slice;
    if (flight.purpose == Purpose::again)
        device.again.clear();
    const Reading& last = slice.batch->readings[slice.from + slice.count - 1];
    if (!device.newest || device.newest->stamp.ms <= last.stamp.ms)
        // By its own time: a pack of the backlog that is delivered later holds older ones.
        device.newest = last;
    device.backoff.succeed();
    device.not_before_ms = 0;
    device.refusals_in_a_row = 0;
    device.recover_limits(things_, batch_);
    device.stats.last_accepted_ms = clock_.wall_ms();
    ++totals_.packs_accepted;
    ++device.stats.packs;
    totals_.bytes_accepted += flight.bytes;
    device.stats.bytes += flight.bytes;
    if (flight.purpose != Purpose::repeat) {
        totals_.readings_accepted += slice.count;
        device.stats.readings += slice.count;
    }
    if (answer.error != TransportError::none)
        ++totals_.accepted_with_error;
    end_failing(device, "its readings get through again");
    if (device.is_parked)
        unpark(device);
}

void UploadWork::unpark(DeviceUpload& device) {
    device.unpark();
    if (!std::exchange(device.is_park_told, false))
        return;
    const std::string text = device.device.name + ": the platform knows it again";
    log::write(log::Level::info, "upload: " + text,
               {{"DEVICE", device.device.name}, {"VERDICT", device.stats.last_answer}});
    hooks_.on_recovered({UploadAlarm::Kind::device_parked, device.device.id, text});
}

void UploadWork::on_retry(DeviceUpload& device, Flight flight, const Answer& answer, const Verdict& verdict) {
    ++device.stats.failures;
    ++totals_.retries;
    if (flight.purpose == Purpose::search) {
        device.suspects.push_back(std::move(flight.slice));
    } else if (flight.purpose == Purpose::recheck) {
        device.rechecks.push_front({std::move(flight.slice), clock_.boot_ms(), verdict.reason});
    } else if (flight.purpose != Purpose::repeat) {
        settle(flight, Fate::kept);
        // It may have arrived: what is sent again must be the same bytes, so that doubles can be told.
        // A redirect took nothing in: the next pack may be put together anew.
        if (answer.status >= 300 && answer.status < 400)
            device.again.clear();
        else if (answer.sent || answer.status != 0)
            device.again = spans_of(flight.slice);
    }
    if (verdict.scope == Scope::uplink)
        return; // the breaker says when
    if (answer.error == TransportError::cancelled) {
        device.not_before_ms = clock_.boot_ms() + cancelled_wait_ms;
        return;
    }
    const Milliseconds jittered = device.backoff.next(hooks_.random());
    device.is_wait_asked = verdict.wait.has_value();
    device.not_before_ms =
        clock_.boot_ms() + std::max(jittered, verdict.wait.value_or(Milliseconds(0))).count();
    device.waits_for = verdict.reason;
    log_retry(device, answer, verdict.reason);
    tell_failing(device, answer, verdict);
}

/// The others are well, so that the uplink is; without this the device's readings would wait in silence.
void UploadWork::tell_failing(DeviceUpload& device, const Answer& answer, const Verdict& verdict) {
    const std::int64_t now = clock_.boot_ms();
    if (device.failing_since_ms == 0)
        device.failing_since_ms = now;
    const bool is_ours = answer.error == TransportError::not_signed;
    if (uplink_.is_down() || device.told_failure == verdict.cause ||
        (!is_ours && now - device.failing_since_ms < failing_told_ms))
        return;
    device.told_failure = verdict.cause;
    const std::string text = fmt::format("{}: its readings are kept and do not get through: {}",
                                         device.device.name, explain(answer, around(device)).text());
    log::write(log::Level::error, "upload: " + text,
               {{"DEVICE", device.device.name}, {"VERDICT", verdict.reason}});
    hooks_.on_alarm({UploadAlarm::Kind::device_failing, device.device.id, text});
}

void UploadWork::end_failing(DeviceUpload& device, const std::string& text) {
    device.failing_since_ms = 0;
    if (std::exchange(device.told_failure, {}).empty())
        return;
    log::write(log::Level::info, fmt::format("upload: {}: {}", device.device.name, text),
               {{"DEVICE", device.device.name}, {"VERDICT", device.stats.last_answer}});
    hooks_.on_recovered({UploadAlarm::Kind::device_failing, device.device.id, text});
}

void UploadWork::log_retry(DeviceUpload& device, const Answer& answer, const std::string& reason) {
    const std::int64_t now = clock_.boot_ms();
    const int kind = answer.status * 100 + static_cast<int>(answer.error);
    if (device.logged_retry == kind && now - device.logged_retry_ms < retry_log_interval_ms)
        return;
    device.logged_retry = kind;
    device.logged_retry_ms = now;
    log::write(
        log::Level::info,
        fmt::format("upload: {}: {}; its readings are kept and sent again", device.device.name, reason),
        {{"DEVICE", device.device.name}, {"VERDICT", reason}});
}

void UploadWork::on_refused_device(DeviceUpload& device, const Flight& flight, const Answer& answer) {
    ++device.stats.failures;
    if (flight.purpose == Purpose::recheck)
        device.rechecks.push_back({flight.slice, clock_.boot_ms() + recheck_after_ms, {}});
    else
        settle(flight, Fate::kept);
    // A device that is refused altogether says nothing about single readings.
    for (const Slice& slice : device.suspects)
        keep(slice);
    device.suspects.clear();
    park(device, answer, false);
}

void UploadWork::park(DeviceUpload& device, const Answer& answer, bool by_content) {
    // The first doubt about the content is settled by a probe at once; most often it is a run of poisoned
    // readings.
    const bool is_first_doubt = by_content && !device.is_parked;
    const bool is_told = device.is_park_told && device.stats.last_answer == device.park_reason;
    device.park(device.stats.last_answer, by_content, clock_.boot_ms(), hooks_.random());
    if (is_first_doubt || is_told)
        return;
    device.is_park_told = true;
    end_failing(device, "it is parked now");
    const std::string text = device.device.name + " is parked: " + explain(answer, around(device)).text();
    log::write(log::Level::error, "upload: " + text,
               {{"DEVICE", device.device.name}, {"VERDICT", device.stats.last_answer}});
    hooks_.on_alarm({UploadAlarm::Kind::device_parked, device.device.id, text});
}

void UploadWork::on_too_large(DeviceUpload& device, const Flight& flight, const Answer& answer,
                              const Verdict& verdict) {
    const bool is_alone = flight.slice.count <= 1;
    if (is_alone && (!device.is_parked || device.is_parked_by_content)) {
        Verdict alone = verdict;
        alone.reason += ": one reading alone is larger than the platform takes";
        // It will be no smaller in a minute. What a proxy says of everything is doubted like a 400.
        if (flight.purpose != Purpose::repeat && device.refusals_in_a_row < most_too_large) {
            ++device.stats.failures;
            ++device.refusals_in_a_row;
            if (flight.purpose == Purpose::again)
                device.again.clear();
            return set_aside(device, flight.slice, alone.reason);
        }
        return on_refused_content(device, flight, answer, alone);
    }
    ++device.stats.failures;
    if (flight.purpose == Purpose::again)
        device.again.clear();
    if (device.is_parked) // a probe that was too large: the next one as late as after any other refusal
        device.park(device.park_reason, device.is_parked_by_content, clock_.boot_ms(), hooks_.random());
    if (is_alone) {
        if (flight.purpose != Purpose::repeat)
            check_again_later(device, flight.slice, verdict.reason);
        return;
    }
    // The platform's limit is not known, only that this was beyond it.
    device.cut_limits(flight.slice.count / 2, flight.bytes / 2);
    log::info("upload: {}: {} for {} bytes; packs are at most {} bytes from now on", device.device.name,
              verdict.reason, flight.bytes, flight.bytes / 2);
    if (flight.purpose != Purpose::search) {
        settle(flight, Fate::kept);
        return;
    }
    const Slice& all = flight.slice;
    const std::size_t half = all.count / 2;
    device.suspects.push_back({all.batch, all.from + half, all.count - half});
    device.suspects.push_back({all.batch, all.from, half});
}

void UploadWork::on_refused_content(DeviceUpload& device, const Flight& flight, const Answer& answer,
                                    const Verdict& verdict) {
    ++device.stats.failures;
    ++device.refusals_in_a_row;
    if (flight.purpose == Purpose::again)
        device.again.clear();
    const Slice& all = flight.slice;
    if (flight.purpose == Purpose::repeat) {
        device.newest.reset();
    } else if (flight.purpose == Purpose::recheck && !device.is_parked_by_content) {
        set_aside(device, all, verdict.reason);
    } else if (flight.purpose == Purpose::probe && device.is_parked_by_content) {
        settle(flight, Fate::kept);
    } else if (all.count == 1) {
        check_again_later(device, all, verdict.reason);
    } else {
        if (flight.purpose != Purpose::search)
            log_search(device, verdict.reason, all.count);
        const std::size_t half = all.count / 2;
        device.suspects.push_back({all.batch, all.from + half, all.count - half});
        device.suspects.push_back({all.batch, all.from, half});
    }
    if (device.is_parked_by_content || device.refusals_in_a_row >= most_refusals_in_a_row)
        park(device, answer, true);
    else if (device.is_parked)
        unpark(device); // it is known again, only the content was not liked
}

void UploadWork::check_again_later(DeviceUpload& device, const Slice& slice, const std::string& reason) {
    if (device.rechecks.size() >= most_rechecks)
        set_aside(device, slice, reason);
    else
        device.rechecks.push_back({slice, clock_.boot_ms() + recheck_after_ms, reason});
}

void UploadWork::set_aside(DeviceUpload& device, const Slice& slice, const std::string& reason) {
    backlog_.settle(*slice.batch, slice.from, slice.count, Fate::dead, reason);
    device.stats.dead += slice.count;
    totals_.readings_dead += slice.count;
    log_dead(device, reason);
}

/// A point whose readings are never accepted begins a search with each pack.
void UploadWork::log_search(DeviceUpload& device, const std::string& reason, std::size_t count) {
    const std::int64_t now = clock_.boot_ms();
    if (device.logged_search_ms != 0 && now - device.logged_search_ms < retry_log_interval_ms)
        return;
    device.logged_search_ms = now;
    log::write(log::Level::warning,
               fmt::format("upload: {}: {}; searching the reading among {} that is not accepted",
                           device.device.name, reason, count),
               {{"DEVICE", device.device.name}, {"VERDICT", reason}});
}

void UploadWork::log_dead(DeviceUpload& device, const std::string& reason) {
    ++device.dead_unlogged;
    const std::int64_t now = clock_.boot_ms();
    if (device.last_dead_log_ms != 0 && now - device.last_dead_log_ms < dead_log_interval_ms)
        return;
    const std::string text = fmt::format("{}: {} readings set aside as dead letters: {}", device.device.name,
                                         device.dead_unlogged, reason);
    device.last_dead_log_ms = now;
    device.dead_unlogged = 0;
    log::write(log::Level::warning, "upload: " + text, {{"DEVICE", device.device.name}, {"VERDICT", reason}});
    hooks_.on_alarm({UploadAlarm::Kind::dead_letter, device.device.id, text});
}

} // namespace things
