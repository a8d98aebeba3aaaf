// SPDX-License-Identifier: Apache-2.0
#include "delivery/backoff.hpp"

#include <algorithm>

namespace things {

Milliseconds Backoff::next(double random) {
    // Beyond it the shift would overflow; the cap is reached long before.
    constexpr int most_doublings = 30;
    const auto doubled = initial_.count() << std::min(failures_, most_doublings);
    // Full jitter: anywhere between 0 and the doubled wait, so that gateways which failed together do not
    // come back together.
    const auto cap = std::min(max_.count(), std::max<Milliseconds::rep>(doubled, 1));
    failures_ = std::min(failures_ + 1, most_doublings);
    successes_ = 0;
    // A number that is none, or out of range, must not become a wait without an end, or none at all.
    const double part = random >= 0 && random < 1 ? random : 1;
    return Milliseconds(static_cast<Milliseconds::rep>(static_cast<double>(cap) * part));
}

void Backoff::succeed() {
    if (failures_ > 0 && ++successes_ >= 3)
        reset();
}

bool Breaker::admit(std::int64_t now_ms) {
    if (state_ == State::closed)
        return true;
    if (is_probing_ || now_ms < until_ms_)
        return false;
    state_ = State::half_open;
    is_probing_ = true;
    return true;
}

std::optional<std::int64_t> Breaker::next_try_ms() const {
    if (is_probing_)
        return std::nullopt;
    return until_ms_;
}

void Breaker::on_answer() {
    // An answer to a post from before a pause says nothing about the pause.
    if (state_ == State::open)
        return;
    state_ = State::closed;
    is_probing_ = false;
    backoff_.succeed();
}

void Breaker::on_failure(std::int64_t now_ms, double random, std::optional<Milliseconds> wait,
                         bool is_asked) {
    if (state_ == State::open) {
        // One of the posts that were in flight when it opened: the same failure, not another one.
        if (wait) {
            until_ms_ = std::max(until_ms_, now_ms + wait->count());
            is_asked_ = is_asked_ || is_asked;
        }
        return;
    }
    const Milliseconds jittered = backoff_.next(random);
    state_ = State::open;
    is_probing_ = false;
    is_asked_ = wait.has_value() && is_asked;
    until_ms_ = now_ms + std::max(jittered, wait.value_or(Milliseconds(0))).count();
}

void Breaker::on_probe_dropped(std::int64_t now_ms) {
    if (state_ != State::half_open)
        return;
    state_ = State::open;
    is_probing_ = false;
    until_ms_ = now_ms;
}

void Breaker::wake(std::int64_t now_ms) {
    if (state_ == State::open && !is_asked_)
        until_ms_ = std::min(until_ms_, now_ms);
}

} // namespace things
