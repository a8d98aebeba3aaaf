// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "gateway/checked_config.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <optional>
#include <string>

namespace things {

/// Loads the configuration anew on a thread of its own and hands the result to the loop. One at a time: if
/// more are asked for meanwhile, one more follows. Loop only.
class Reload {
public:
    /// The configuration, or its first error with its place. Neither: it could not be checked, which says
    /// nothing about it.
    struct Result {
        std::optional<CheckedConfig> config;
        std::string refusal;
    };
    /// Logs what is wrong. Called on a thread of its own.
    using Load = std::function<Result()>;

    /// Starts its thread at once: later the sources may have taken every thread there is. `on_result` is
    /// called on the loop and leads to finish(), at once or later.
    Reload(boost::asio::io_context& loop, Load load, std::function<void(Result)> on_result);
    /// Waits for a check under way.
    ~Reload();
    Reload(const Reload&) = delete;
    Reload& operator=(const Reload&) = delete;

    void begin();
    /// What begin() led to is over.
    void finish();
    [[nodiscard]] bool is_running() const { return is_running_; }

private:
    boost::asio::io_context& loop_;
    Load load_;
    std::function<void(Result)> on_result_;
    bool is_running_ = false, is_asked_again_ = false;
    boost::asio::thread_pool thread_{1};
};

} // namespace things
