// SPDX-License-Identifier: Apache-2.0
#include "delivery/ticker.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t longest_ms = 60'000;

} // namespace

Ticker::Ticker(boost::asio::io_context& loop, const Clock& clock, std::function<void()> handler)
    : loop_(loop), clock_(clock), handler_(std::move(handler)), timer_(loop) {}

void Ticker::soon() {
    if (alive_ == nullptr || std::exchange(is_posted_, true))
        return;
    boost::asio::post(loop_, [this, alive = std::weak_ptr(alive_)] {
        if (alive.expired())
            return;
        is_posted_ = false;
        handler_();
    });
}

void Ticker::at(std::int64_t when_ms) {
    const std::int64_t now = clock_.boot_ms();
    // A due time in the past (after a refusal of the breaker, say) must not spin the loop.
    const std::int64_t next = std::clamp(when_ms, now + 1, now + longest_ms);
    if (alive_ == nullptr || next == at_ms_)
        return;
    at_ms_ = next;
    timer_.expires_after(std::chrono::milliseconds(next - now));
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired())
            return;
        at_ms_ = 0;
        handler_();
    });
}

void Ticker::close() {
    alive_.reset();
    timer_.cancel();
}

} // namespace things
