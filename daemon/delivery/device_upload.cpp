// SPDX-License-Identifier: Apache-2.0
#include "delivery/device_upload.hpp"

#include <algorithm>
#include <cmath>

namespace things {

namespace {

constexpr std::int64_t minute_ms = 60'000;
// Whom the Portal does not know yet is tried soon, whom it never will know costs 24 posts a day.
constexpr Milliseconds first_probe = minutes(1);
constexpr Milliseconds last_probe = hours(1);
constexpr int fetches_a_minute = 30;
// Of so many packs one may be refused again to find that the limit still holds.
constexpr int packs_before_recovery = 50;
// With a quota of messages the packs grow instead, up to so many times what is configured.
constexpr std::size_t growth = 16;

UploadPlan sooner(UploadPlan a, UploadPlan b) {
    return b.when_ms < a.when_ms ? b : a;
}

} // namespace

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

DeviceUpload::DeviceUpload(UploadDevice what, const ThingsConfig& things)
    : device(std::move(what)), base_name(senml_base_name(device.dvnuuid)),
      backoff(things.retry_initial, things.retry_max) {}

std::int64_t DeviceUpload::live_due_ms(const Waiting& waiting, const BatchConfig& batch, bool is_flushing,
                                       std::int64_t now_ms) const {
    const double bytes = static_cast<double>(waiting.live) * bytes_per_record_;
    const bool is_full = waiting.live >= static_cast<std::size_t>(std::max(1, batch.max_records)) ||
                         bytes >= static_cast<double>(batch.max_bytes);
    if (waiting.urgent || is_full || is_flushing)
        return now_ms;
    const std::int64_t due = waiting.live_since_ms + batch.max_age.count();
    return fetch_ms_ != 0 ? std::min(due, fetch_ms_) : due;
}

std::optional<UploadPlan> DeviceUpload::plan_parked(const Waiting& waiting) const {
    if (!again.empty())
        return UploadPlan{Purpose::again, probe_ms_};
    // Not sooner than others either, where the queue counts readings that it cannot read.
    if (waiting.live > 0 || waiting.backlog > 0)
        return UploadPlan{Purpose::probe, std::max(probe_ms_, nothing_until_ms)};
    if (suspects.empty() && rechecks.empty())
        return std::nullopt;
    // What was accepted before tells best whether everything is refused now.
    if (newest)
        return UploadPlan{Purpose::repeat, probe_ms_};
    return UploadPlan{suspects.empty() ? Purpose::recheck : Purpose::search, probe_ms_};
}

std::optional<UploadPlan> DeviceUpload::plan(const Waiting& waiting, const ThingsConfig& things,
                                             const BatchConfig& batch, bool is_flushing,
                                             std::int64_t now_ms) const {
    constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
    const std::int64_t quota =
        things.min_interval.count() > 0 && last_post_ms != 0 ? last_post_ms + things.min_interval.count() : 0;
    const std::int64_t earliest = std::max(not_before_ms, quota);
    UploadPlan best{Purpose::live, never};
    if (is_flushing && (is_parked || (again.empty() && waiting.live == 0)))
        return std::nullopt;
    if (is_parked) {
        if (const auto probe = plan_parked(waiting))
            best = *probe;
    } else if (!again.empty()) {
        best = {Purpose::again, now_ms};
    } else if (!suspects.empty() && !is_flushing) {
        best = {Purpose::search, now_ms};
    } else {
        const bool is_backlog_turn =
            !is_flushing && waiting.backlog > 0 && live_in_a_row >= (quota != 0 ? 1 : 3);
        if (is_backlog_turn)
            best = {Purpose::backlog, std::max(now_ms, nothing_until_ms)};
        if (waiting.live > 0)
            best = sooner(best, {Purpose::live, std::max(nothing_until_ms,
                                                         live_due_ms(waiting, batch, is_flushing, now_ms))});
        if (!rechecks.empty())
            best = sooner(best, {Purpose::recheck, rechecks.front().when_ms});
        // Live readings come first when they are due; the backlog never waits for them.
        if (waiting.backlog > 0 && best.when_ms > now_ms)
            best = sooner(best, {Purpose::backlog, std::max(now_ms, nothing_until_ms)});
        if (newest && !is_retired && waiting.live == 0 && waiting.backlog == 0) {
            if (fetch_ms_ != 0)
                best = sooner(best, {Purpose::repeat, fetch_ms_});
            if (things.downlink_poll.count() > 0)
                best = sooner(best, {Purpose::repeat, last_post_ms + things.downlink_poll.count()});
        }
    }
    if (best.when_ms == never)
        return std::nullopt;
    best.when_ms = std::max(best.when_ms, earliest);
    return best;
}

PackLimits DeviceUpload::limits(const ThingsConfig& things, const BatchConfig& batch) const {
    // Where posts are counted, what may not go out more often must go out in larger packs.
    const std::size_t factor = things.min_interval.count() > 0 ? growth : 1;
    PackLimits limits{static_cast<std::size_t>(std::max(1, batch.max_records)) * factor,
                      static_cast<std::size_t>(std::max<std::int64_t>(1, batch.max_bytes)) * factor};
    if (cut_) {
        limits.max_records = std::min(limits.max_records, cut_->max_records);
        limits.max_bytes = std::min(limits.max_bytes, cut_->max_bytes);
    }
    return limits;
}

std::size_t DeviceUpload::readings_for(const PackLimits& limits) const {
    // A few too many: what does not fit goes back, while too few would make packs smaller than allowed.
    const double by_bytes = static_cast<double>(limits.max_bytes) / (bytes_per_record_ * 0.9) + 4;
    return std::min(limits.max_records, static_cast<std::size_t>(by_bytes));
}

void DeviceUpload::note_packed(std::size_t records, std::size_t bytes) {
    const double now = static_cast<double>(bytes) / static_cast<double>(records);
    // Single-record packs carry the long base name; they say little about the next full one.
    if (records >= 4)
        bytes_per_record_ += (now - bytes_per_record_) / 4;
}

void DeviceUpload::cut_limits(std::size_t records, std::size_t bytes) {
    cut_ = PackLimits{std::max<std::size_t>(1, records), std::max<std::size_t>(1, bytes)};
    packs_since_cut_ = 0;
}

void DeviceUpload::recover_limits(const ThingsConfig& things, const BatchConfig& batch) {
    if (!cut_ || ++packs_since_cut_ < packs_before_recovery)
        return;
    packs_since_cut_ = 0;
    // In steps of a quarter: the limit that was met is found again with few refused packs.
    cut_->max_records += cut_->max_records / 4 + 1;
    cut_->max_bytes += cut_->max_bytes / 4 + 1;
    const auto records = static_cast<std::size_t>(std::max(1, batch.max_records));
    const auto bytes = static_cast<std::size_t>(std::max<std::int64_t>(1, batch.max_bytes));
    const std::size_t factor = things.min_interval.count() > 0 ? growth : 1;
    if (cut_->max_records >= records * factor && cut_->max_bytes >= bytes * factor)
        cut_.reset();
}

void DeviceUpload::park(const std::string& why, bool by_content, std::int64_t now_ms, double random) {
    if (!is_parked)
        probe_wait_ = Milliseconds(0);
    is_parked = true;
    is_parked_by_content = by_content;
    park_reason = why;
    again.clear(); // the platform has just said that it did not take them
    if (by_content && probe_wait_.count() == 0) {
        // Before the device is left alone: is it this pack, or everything?
        probe_ms_ = now_ms;
        probe_wait_ = first_probe / 2;
        return;
    }
    probe_wait_ = std::clamp(2 * probe_wait_, first_probe, last_probe);
    // Spread over the last quarter, so that devices parked together are not probed together.
    const double wait = static_cast<double>(probe_wait_.count()) * (1 - random / 4);
    probe_ms_ = now_ms + static_cast<std::int64_t>(wait);
}

void DeviceUpload::unpark() {
    is_parked = is_parked_by_content = false;
    probe_wait_ = Milliseconds(0);
    refusals_in_a_row = 0;
    park_reason.clear();
}

void DeviceUpload::try_now(std::int64_t now_ms) {
    not_before_ms = nothing_until_ms = 0;
    is_wait_asked = false;
    if (is_parked)
        probe_ms_ = now_ms;
    for (Recheck& recheck : rechecks)
        recheck.when_ms = std::min(recheck.when_ms, now_ms);
}

void DeviceUpload::ask_for_fetch(std::int64_t now_ms) {
    if (now_ms - fetch_window_ms_ >= minute_ms) {
        fetch_window_ms_ = now_ms;
        fetches_in_window_ = 0;
    }
    ++fetches_in_window_;
    // A platform that always has one more downlink must not turn a device into a loop.
    fetch_ms_ = fetches_in_window_ > fetches_a_minute ? fetch_window_ms_ + minute_ms : now_ms;
}

void DeviceUpload::note_posted(std::int64_t now_ms) {
    last_post_ms = now_ms;
    fetch_ms_ = 0;
}

} // namespace things
