// SPDX-License-Identifier: Apache-2.0
#include "delivery/uplink.hpp"

#include <utility>

namespace things {

namespace {

// One or two posts get lost on any mobile link.
constexpr int failures_to_open = 3;
// A link that comes back within half a minute needs nobody.
constexpr std::int64_t tell_after_ms = 30'000;

} // namespace

/// One device whose packs make the host stumble must not stop the others: unless the error itself speaks of
/// the host, several failures in a row, of more than one device, are needed.
bool Uplink::opens(DeviceId device, const Verdict& verdict, bool is_only_device) {
    ++failures_;
    if (!first_failed_)
        first_failed_ = device;
    have_several_failed_ = have_several_failed_ || *first_failed_ != device;
    if (verdict.scope == Scope::uplink || breaker_.state() != Breaker::State::closed)
        return true;
    return failures_ >= failures_to_open && (have_several_failed_ || is_only_device);
}

bool Uplink::admit(DeviceId device, std::int64_t now_ms) {
    if (!breaker_.admit(now_ms))
        return false;
    if (breaker_.state() == Breaker::State::half_open)
        probe_ = device;
    return true;
}

void Uplink::on_unsent(DeviceId device, std::int64_t now_ms) {
    if (probe_ == device)
        breaker_.on_probe_dropped(now_ms);
}

Uplink::Change Uplink::on_answer(DeviceId device, const Verdict& verdict, bool is_only_device,
                                 std::int64_t now_ms, double random) {
    // The late end of a post from before the probe is no news, and must not let a second probe go.
    const bool is_pause = verdict.scope == Scope::uplink && verdict.wait;
    if (verdict.next == Next::retry && !is_pause && probe_ != device &&
        breaker_.state() == Breaker::State::half_open)
        return Change::none;
    if (verdict.next == Next::retry && !verdict.counts_for_breaker) {
        breaker_.on_probe_dropped(now_ms);
        return Change::none;
    }
    if (verdict.next != Next::retry && verdict.next != Next::misdirected) {
        breaker_.on_answer();
        if (breaker_.state() != Breaker::State::closed)
            return Change::none;
        failures_ = 0;
        first_failed_.reset();
        have_several_failed_ = is_misdirected_ = is_told_ = false;
        if (!is_down_)
            return Change::none;
        is_down_ = false;
        return Change::came_up;
    }
    // Of the posts that were in flight when it opened each may end in its own way: only a probe tells that
    // the cause has changed.
    const bool is_news = breaker_.state() != Breaker::State::open;
    if (!opens(device, verdict, is_only_device))
        return Change::none;
    ++all_failures_;
    // What was asked of one device only is that device's to wait for.
    const auto wait = verdict.scope == Scope::uplink ? verdict.wait : std::nullopt;
    breaker_.on_failure(now_ms, random, wait, verdict.next == Next::retry);
    const bool was_down = std::exchange(is_down_, true);
    if (!was_down)
        down_since_ms_ = now_ms;
    const bool is_other = was_down && is_news && verdict.cause != cause_;
    if (!was_down || is_news) {
        reason_ = verdict.reason;
        cause_ = verdict.cause;
    }
    if (verdict.next == Next::misdirected && !is_misdirected_) {
        is_misdirected_ = true;
        return Change::misdirected;
    }
    if (!was_down)
        return Change::went_down;
    if (!is_told_ && !is_misdirected_ && now_ms - down_since_ms_ >= tell_after_ms) {
        is_told_ = true;
        return Change::stayed_down;
    }
    return is_other ? Change::changed : Change::none;
}

} // namespace things
