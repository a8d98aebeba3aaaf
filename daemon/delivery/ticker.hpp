// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/clock.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>

// Calls the uploader when there is something to do: in the next turn of the loop, or at a time. Owned by the
// uploader; loop only.
namespace things {

class Ticker {
public:
    Ticker(boost::asio::io_context& loop, const Clock& clock, std::function<void()> handler);
    /// Once in the next turn, however often it is asked for: a thousand readings cost one look at their
    /// device.
    void soon();
    /// At this time of CLOCK_BOOTTIME, replacing what was set before; within a minute in any case, because
    /// that clock goes on during suspend and the timer's does not.
    void at(std::int64_t when_ms);
    /// Nothing is called any more.
    void close();

private:
    boost::asio::io_context& loop_;
    const Clock& clock_;
    std::function<void()> handler_;
    boost::asio::steady_timer timer_;
    std::int64_t at_ms_ = 0; ///< what the timer is set to; 0: not set
    bool is_posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(); // handlers that come later find it expired
};

} // namespace things
