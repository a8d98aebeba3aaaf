// SPDX-License-Identifier: Apache-2.0
#include "platform/after.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <utility>

namespace things {

After make_after(boost::asio::io_context& loop) {
    return [&loop](std::chrono::milliseconds wait, std::function<void()> call) {
        auto timer = std::make_unique<boost::asio::steady_timer>(loop, wait);
        auto& armed = *timer;
        // The handler owns the timer, so both live as long as the wait.
        armed.async_wait([timer = std::move(timer), call = std::move(call)](boost::system::error_code error) {
            if (!error)
                call();
        });
    };
}

} // namespace things
