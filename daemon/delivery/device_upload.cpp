// SPDX-License-Identifier: Apache-2.0
#include "delivery/device_upload.hpp"

#include "platform/log.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
// Enough to make an accepted probe useful, few enough to be refused cheaply.
constexpr std::size_t probe_readings = 10;
// The queue counts readings that it cannot hand out yet (no wall time, flash not read): do not ask in a
// circle.
constexpr std::int64_t nothing_wait_ms = 1000;
// A refusal may be a passing trouble of the platform; a minute later it most often is over.
constexpr std::int64_t recheck_after_ms = 60'000;
// They are held in memory until then.
constexpr std::size_t most_rechecks = 64;
// A search among n readings is refused log2(n) + 1 times in a row at worst, if one of them is poisoned.
constexpr int most_refusals_in_a_row = 24;
constexpr int most_too_large = 3; // in a row that are set aside at once
// A network that changed needs a moment before it carries anything.
constexpr std::int64_t cancelled_wait_ms = 1000;
constexpr PackLimits no_limits{std::numeric_limits<std::size_t>::max(),
                               std::numeric_limits<std::size_t>::max()};

UploadPlan sooner(UploadPlan a, UploadPlan b) {
    return b.when_ms < a.when_ms ? b : a;
}

std::vector<Span> spans_of(const Slice& slice) {
    std::vector<Span> spans;
    for (std::size_t i = slice.from; i < slice.from + slice.count; ++i) {
        const std::uint64_t sequence = slice.batch->sequence[i];
        if (!spans.empty() && spans.back().last == sequence)
            ++spans.back().last;
        else
            spans.push_back({sequence, sequence + 1});
    }
    return spans;
}

/// Leaves the readings [0, count) without the refused ones.
void shrink(Batch& batch, std::size_t count, const std::vector<Refused>& refused) {
    std::size_t to = 0;
    auto next_refused = refused.begin();
    for (std::size_t i = 0; i < count; ++i) {
        if (next_refused != refused.end() && next_refused->index == i) {
            ++next_refused;
            continue;
        }
        if (to != i) {
            batch.readings[to] = std::move(batch.readings[i]);
            batch.sequence[to] = batch.sequence[i];
        }
        ++to;
    }
    batch.readings.resize(to);
    batch.sequence.resize(to);
}

} // namespace

DeviceUpload::DeviceUpload(UploadPorts& ports, UploadDevice device)
    : ports_(ports), device_(std::move(device)), report_(ports, device_),
      backoff_(ports.things.retry_initial, ports.things.retry_max) {}

void DeviceUpload::update(const UploadDevice& what) {
    is_removed_ = false;
    const bool is_known_so = device_.name == what.name && !is_retired_;
    const bool is_changed = device_.secret != what.secret || device_.dvnuuid != what.dvnuuid || !is_known_so;
    is_retired_ = false;
    if (!is_known_so)
        report_.forget_alarms();
    // Under another identity the same bytes are another pack.
    if (device_.dvnuuid != what.dvnuuid)
        again_.clear();
    device_ = what;
    if (is_changed)
        try_now();
}

void DeviceUpload::retire() {
    is_retired_ = true;
    report_.forget_alarms();
}

void DeviceUpload::remove() {
    is_removed_ = true;
    for (const Slice& slice : suspects_)
        keep(slice);
    for (const Recheck& recheck : rechecks_)
        keep(recheck.slice);
    suspects_.clear();
    rechecks_.clear();
}

void DeviceUpload::close() {
    if (flight_)
        settle(*flight_, Fate::kept);
    flight_.reset();
    remove();
}

void DeviceUpload::configure(bool is_elsewhere) {
    backoff_.set_range(ports_.things.retry_initial, ports_.things.retry_max);
    if (is_elsewhere)
        try_now();
}

void DeviceUpload::try_now() {
    const std::int64_t now = ports_.clock.boot_ms();
    wait_.until_ms = nothing_until_ms_ = 0;
    wait_.is_asked = false;
    parking_.try_now(now);
    for (Recheck& recheck : rechecks_)
        recheck.when_ms = std::min(recheck.when_ms, now);
}

void DeviceUpload::on_link_up() {
    if (!wait_.is_asked)
        wait_.until_ms = 0;
}

std::int64_t DeviceUpload::live_due_ms(const Waiting& waiting) const {
    const BatchConfig& batch = ports_.batch;
    const bool is_full = waiting.live >= static_cast<std::size_t>(std::max(1, batch.max_records)) ||
                         size_.bytes_of(waiting.live) >= static_cast<double>(batch.max_bytes);
    if (waiting.urgent || is_full || ports_.is_flushing)
        return ports_.clock.boot_ms();
    const std::int64_t due = waiting.live_since_ms + batch.max_age.count();
    return fetch_.is_asked() ? std::min(due, fetch_.when_ms()) : due;
}

std::optional<UploadPlan> DeviceUpload::plan_parked(const Waiting& waiting) const {
    const std::int64_t probe = parking_.probe_ms();
    if (!again_.empty())
        return UploadPlan{Purpose::again, probe};
    // Not sooner than others either, where the queue counts readings that it cannot read.
    if (waiting.live > 0 || waiting.backlog > 0)
        return UploadPlan{Purpose::probe, std::max(probe, nothing_until_ms_)};
    if (suspects_.empty() && rechecks_.empty())
        return std::nullopt;
    // What was accepted before tells best whether everything is refused now.
    if (newest_)
        return UploadPlan{Purpose::repeat, probe};
    return UploadPlan{suspects_.empty() ? Purpose::recheck : Purpose::search, probe};
}

UploadPlan DeviceUpload::plan_usual(const Waiting& waiting, bool has_quota) const {
    const std::int64_t now = ports_.clock.boot_ms();
    const std::int64_t earliest_taken = std::max(now, nothing_until_ms_);
    UploadPlan best{Purpose::live, never};
    if (!ports_.is_flushing && waiting.backlog > 0 && live_in_a_row_ >= (has_quota ? 1 : 3))
        best = {Purpose::backlog, earliest_taken};
    if (waiting.live > 0)
        best = sooner(best, {Purpose::live, std::max(nothing_until_ms_, live_due_ms(waiting))});
    if (!rechecks_.empty())
        best = sooner(best, {Purpose::recheck, rechecks_.front().when_ms});
    // Live readings come first when they are due; the backlog never waits for them.
    if (waiting.backlog > 0 && best.when_ms > now)
        best = sooner(best, {Purpose::backlog, earliest_taken});
    if (newest_ && !is_retired_ && waiting.live == 0 && waiting.backlog == 0) {
        if (fetch_.is_asked())
            best = sooner(best, {Purpose::repeat, fetch_.when_ms()});
        if (ports_.things.downlink_poll.count() > 0)
            best = sooner(best, {Purpose::repeat, last_post_ms_ + ports_.things.downlink_poll.count()});
    }
    return best;
}

std::optional<UploadPlan> DeviceUpload::plan() const {
    const Waiting waiting = ports_.backlog.waiting(device_.id);
    const std::int64_t min_interval = ports_.things.min_interval.count();
    const std::int64_t quota = min_interval > 0 && last_post_ms_ != 0 ? last_post_ms_ + min_interval : 0;
    if (ports_.is_flushing && (parking_.is_parked() || (again_.empty() && waiting.live == 0)))
        return std::nullopt;
    UploadPlan best{Purpose::live, never};
    if (parking_.is_parked())
        best = plan_parked(waiting).value_or(best);
    else if (!again_.empty())
        best = {Purpose::again, ports_.clock.boot_ms()};
    else if (!suspects_.empty() && !ports_.is_flushing)
        best = {Purpose::search, ports_.clock.boot_ms()};
    else
        best = plan_usual(waiting, quota != 0);
    if (best.when_ms == never)
        return std::nullopt;
    best.when_ms = std::max({best.when_ms, wait_.until_ms, quota});
    return best;
}

std::optional<Post> DeviceUpload::begin(Purpose purpose) {
    is_busy_ = true;
    Slice slice;
    if (purpose == Purpose::search) {
        slice = std::move(suspects_.back());
        suspects_.pop_back();
    } else if (purpose == Purpose::recheck) {
        slice = std::move(rechecks_.front().slice);
        rechecks_.pop_front();
    } else if (purpose == Purpose::repeat) {
        auto batch = std::make_shared<Batch>();
        batch->device = device_.id;
        batch->readings.push_back(*newest_);
        slice = {std::move(batch), 0, 1};
    } else {
        return std::nullopt;
    }
    Pack pack = ports_.packer.pack(senml_base_name(device_.dvnuuid), *slice.batch, slice.from, slice.count,
                                   no_limits);
    return make_post({purpose, std::move(slice), 0}, std::move(pack.body));
}

void DeviceUpload::take(Purpose purpose, std::function<void(Batch)> handler) {
    if (purpose == Purpose::again)
        return ports_.backlog.take(device_.id, again_, std::move(handler));
    std::size_t most = size_.readings_for(size_.limits(ports_.things, ports_.batch));
    Lane lane = purpose == Purpose::backlog ? Lane::backlog : Lane::live;
    if (purpose == Purpose::probe) {
        most = std::min(most, probe_readings);
        lane = ports_.backlog.waiting(device_.id).live > 0 ? Lane::live : Lane::backlog;
    }
    ports_.backlog.take(device_.id, lane, most, std::move(handler));
}

std::optional<Post> DeviceUpload::on_taken(Purpose purpose, Batch batch) {
    const std::size_t taken = batch.readings.size();
    if (is_removed_) { // they were taken before that happened: the queue is to have them back
        if (taken > 0)
            ports_.backlog.settle(batch, 0, taken, Fate::kept, {});
        return std::nullopt;
    }
    if (taken == 0) {
        if (purpose == Purpose::again)
            again_.clear(); // dropped by the queue meanwhile
        else
            nothing_until_ms_ = ports_.clock.boot_ms() + nothing_wait_ms;
        return std::nullopt;
    }
    // The same readings as before, even if the limits have changed: doubles can be told only by equal bytes.
    const PackLimits limits =
        purpose == Purpose::again ? no_limits : size_.limits(ports_.things, ports_.batch);
    Pack pack = ports_.packer.pack(senml_base_name(device_.dvnuuid), batch, 0, taken, limits);
    for (const Refused& refused : pack.refused) {
        ports_.backlog.settle(batch, refused.index, 1, Fate::dead, refused.reason);
        report_.tell_dead(1, refused.reason);
    }
    if (pack.used < taken)
        ports_.backlog.settle(batch, pack.used, taken - pack.used, Fate::kept, {});
    if (pack.records == 0)
        return std::nullopt;
    shrink(batch, pack.used, pack.refused);
    live_in_a_row_ = purpose == Purpose::live ? live_in_a_row_ + 1 : 0;
    auto sent = std::make_shared<const Batch>(std::move(batch));
    const std::size_t count = sent->readings.size();
    return make_post({purpose, {std::move(sent), 0, count}, 0}, std::move(pack.body));
}

Post DeviceUpload::make_post(Flight flight, std::string body) {
    flight.bytes = body.size();
    size_.note_packed(flight.slice.count, flight.bytes);
    // min_interval and downlink_poll count from here.
    last_post_ms_ = ports_.clock.boot_ms();
    fetch_.end();
    flight_ = std::move(flight);
    std::string token = ports_.signer.sign(body, device_.secret);
    return {std::move(body), std::move(token)};
}

void DeviceUpload::on_answer(const Answer& answer, const Verdict& verdict, bool is_uplink_down) {
    Flight flight = std::move(*flight_);
    flight_.reset();
    if (verdict.next != Next::delivered && verdict.next != Next::delivered_with_error)
        report_.note_failure();
    switch (verdict.next) {
    case Next::delivered:
    case Next::delivered_with_error:
        return on_delivered(flight, answer);
    case Next::retry:
    case Next::misdirected:
        return on_retry(std::move(flight), answer, verdict, is_uplink_down);
    case Next::park:
        return on_refused_device(flight);
    case Next::halve:
        return on_too_large(flight, verdict);
    case Next::bisect:
        return on_refused_content(flight, verdict.reason);
    }
}

void DeviceUpload::on_delivered(const Flight& flight, const Answer& answer) {
    settle(flight, Fate::accepted);
    const Slice& slice = flight.slice;
    if (flight.purpose == Purpose::again)
        again_.clear();
    const Reading& last = slice.batch->readings[slice.from + slice.count - 1];
    // By its own time: a pack of the backlog that is delivered later holds older ones.
    if (!newest_ || newest_->stamp.ms <= last.stamp.ms)
        newest_ = last;
    backoff_.succeed();
    wait_.until_ms = 0;
    refusals_in_a_row_ = 0;
    size_.note_accepted(ports_.things, ports_.batch);
    const std::size_t readings = flight.purpose == Purpose::repeat ? 0 : slice.count;
    report_.note_accepted(readings, flight.bytes);
    ++ports_.totals.packs_accepted;
    ports_.totals.bytes_accepted += flight.bytes;
    ports_.totals.readings_accepted += readings;
    if (answer.error != TransportError::none)
        ++ports_.totals.accepted_with_error;
    report_.end_failing("its readings get through again");
    if (parking_.is_parked())
        unpark();
}

void DeviceUpload::on_retry(Flight flight, const Answer& answer, const Verdict& verdict,
                            bool is_uplink_down) {
    const std::int64_t now = ports_.clock.boot_ms();
    ++ports_.totals.retries;
    if (flight.purpose == Purpose::search) {
        suspects_.push_back(std::move(flight.slice));
    } else if (flight.purpose == Purpose::recheck) {
        rechecks_.push_front({std::move(flight.slice), now, verdict.reason});
    } else if (flight.purpose != Purpose::repeat) {
        settle(flight, Fate::kept);
        // It may have arrived: what is sent again must be the same bytes, so that doubles can be told.
        // A redirect took nothing in: the next pack may be put together anew.
        if (answer.status >= 300 && answer.status < 400)
            again_.clear();
        else if (answer.sent || answer.status != 0)
            again_ = spans_of(flight.slice);
    }
    if (verdict.scope == Scope::uplink)
        return; // the breaker says when
    if (answer.error == TransportError::cancelled) {
        wait_.until_ms = now + cancelled_wait_ms;
        return;
    }
    const Milliseconds jittered = backoff_.next(ports_.hooks.random());
    const Milliseconds wait = std::max(jittered, verdict.wait.value_or(Milliseconds(0)));
    wait_ = {now + wait.count(), verdict.reason, verdict.wait.has_value()};
    report_.tell_retry(answer, verdict, is_uplink_down);
}

void DeviceUpload::on_refused_device(const Flight& flight) {
    if (flight.purpose == Purpose::recheck)
        rechecks_.push_back({flight.slice, ports_.clock.boot_ms() + recheck_after_ms, {}});
    else
        settle(flight, Fate::kept);
    // A device that is refused altogether says nothing about single readings.
    for (const Slice& slice : suspects_)
        keep(slice);
    suspects_.clear();
    park(false);
}

void DeviceUpload::park(bool by_content) {
    // The first doubt about the content is settled by a probe at once; most often it is a run of poisoned
    // readings.
    const bool is_first_doubt = by_content && !parking_.is_parked();
    const std::string& reason = report_.stats().last_answer;
    const bool is_other_reason = parking_.reason() != reason;
    parking_.park(reason, by_content, ports_.clock.boot_ms(), ports_.hooks.random());
    again_.clear(); // the platform has just said that it did not take them
    if (!is_first_doubt)
        report_.tell_parked(is_other_reason);
}

void DeviceUpload::unpark() {
    parking_.end();
    refusals_in_a_row_ = 0;
    report_.end_parked();
}

void DeviceUpload::on_too_large(const Flight& flight, const Verdict& verdict) {
    const bool is_alone = flight.slice.count <= 1;
    if (is_alone && (!parking_.is_parked() || parking_.is_by_content())) {
        const std::string reason = verdict.reason + ": one reading alone is larger than the platform takes";
        // What a proxy says of everything is doubted like a 400.
        if (flight.purpose == Purpose::repeat || refusals_in_a_row_ >= most_too_large)
            return on_refused_content(flight, reason);
        // It will be no smaller in a minute.
        ++refusals_in_a_row_;
        if (flight.purpose == Purpose::again)
            again_.clear();
        return set_aside(flight.slice, reason);
    }
    if (flight.purpose == Purpose::again)
        again_.clear();
    if (parking_.is_parked()) { // a probe that was too large: the next one as late as after any other refusal
        parking_.park(std::string(parking_.reason()), parking_.is_by_content(), ports_.clock.boot_ms(),
                      ports_.hooks.random());
        again_.clear();
    }
    if (is_alone) {
        if (flight.purpose != Purpose::repeat)
            check_again_later(flight.slice, verdict.reason);
        return;
    }
    // The platform's limit is not known, only that this was beyond it.
    size_.cut(flight.slice.count / 2, flight.bytes / 2);
    log::info("upload: {}: {} for {} bytes; packs are at most {} bytes from now on", device_.name,
              verdict.reason, flight.bytes, flight.bytes / 2);
    if (flight.purpose == Purpose::search)
        search_in_halves(flight.slice);
    else
        settle(flight, Fate::kept);
}

void DeviceUpload::search_in_halves(const Slice& all) {
    const std::size_t half = all.count / 2;
    suspects_.push_back({all.batch, all.from + half, all.count - half});
    suspects_.push_back({all.batch, all.from, half});
}

void DeviceUpload::on_refused_content(const Flight& flight, const std::string& reason) {
    ++refusals_in_a_row_;
    if (flight.purpose == Purpose::again)
        again_.clear();
    if (flight.purpose == Purpose::repeat) {
        newest_.reset();
    } else if (flight.purpose == Purpose::recheck && !parking_.is_by_content()) {
        set_aside(flight.slice, reason);
    } else if (flight.purpose == Purpose::probe && parking_.is_by_content()) {
        settle(flight, Fate::kept);
    } else if (flight.slice.count == 1) {
        check_again_later(flight.slice, reason);
    } else {
        if (flight.purpose != Purpose::search)
            report_.tell_search(reason, flight.slice.count);
        search_in_halves(flight.slice);
    }
    if (parking_.is_by_content() || refusals_in_a_row_ >= most_refusals_in_a_row)
        park(true);
    else if (parking_.is_parked())
        unpark(); // it is known again, only the content was not liked
}

void DeviceUpload::check_again_later(const Slice& slice, const std::string& reason) {
    if (rechecks_.size() >= most_rechecks)
        set_aside(slice, reason);
    else
        rechecks_.push_back({slice, ports_.clock.boot_ms() + recheck_after_ms, reason});
}

void DeviceUpload::set_aside(const Slice& slice, const std::string& reason) {
    ports_.backlog.settle(*slice.batch, slice.from, slice.count, Fate::dead, reason);
    report_.tell_dead(slice.count, reason);
}

void DeviceUpload::settle(const Flight& flight, Fate fate) {
    // What was repeated for a downlink is no longer in the queue.
    if (flight.purpose != Purpose::repeat)
        ports_.backlog.settle(*flight.slice.batch, flight.slice.from, flight.slice.count, fate, {});
}

void DeviceUpload::keep(const Slice& slice) {
    ports_.backlog.settle(*slice.batch, slice.from, slice.count, Fate::kept, {});
}

DeviceUploads DeviceUpload::status(const std::string& uplink_problem) const {
    DeviceUploads stats = report_.stats();
    const PackLimits limits = size_.limits(ports_.things, ports_.batch);
    stats.max_records = limits.max_records;
    stats.max_bytes = limits.max_bytes;
    stats.is_parked = parking_.is_parked();
    if (parking_.is_parked())
        stats.state = "parked: " + parking_.reason();
    else if (flight_)
        stats.state = "sending";
    else if (!suspects_.empty())
        stats.state = "searching for a reading that the platform refuses";
    else if (!uplink_problem.empty())
        stats.state = "waiting for the uplink: " + uplink_problem;
    else if (wait_.until_ms > ports_.clock.boot_ms())
        stats.state = "waiting for a retry: " + wait_.reason;
    else
        stats.state = "idle";
    return stats;
}

} // namespace things
