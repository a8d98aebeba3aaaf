// SPDX-License-Identifier: Apache-2.0
#include "gateway/reload.hpp"

#include "platform/log.hpp"
#include "platform/notify.hpp"

#include <boost/asio/post.hpp>

#include <exception>
#include <utility>

#include <time.h>

namespace things {

namespace {

std::int64_t monotonic_us() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

} // namespace

Reload::Reload(boost::asio::io_context& loop, Load load, std::function<void(Result)> on_result)
    : loop_(loop), load_(std::move(load)), on_result_(std::move(on_result)) {}

Reload::~Reload() {
    thread_.join();
}

void Reload::begin() {
    if (is_running_) {
        is_asked_again_ = true;
        return;
    }
    is_running_ = true;
    notify::reloading(monotonic_us());
    boost::asio::post(thread_, [this] {
        Result result;
        try {
            result = load_();
        } catch (const std::exception& error) { // a lack of memory or descriptors, which may pass
            log::error("the configuration cannot be checked: {}", error.what());
        }
        boost::asio::post(loop_,
                          [this, result = std::move(result)]() mutable { on_result_(std::move(result)); });
    });
}

void Reload::finish() {
    is_running_ = false;
    notify::ready();
    if (std::exchange(is_asked_again_, false))
        begin();
}

} // namespace things
