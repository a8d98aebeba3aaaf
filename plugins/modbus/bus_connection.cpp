// SPDX-License-Identifier: Apache-2.0
#include "modbus/bus_connection.hpp"

#include <algorithm>
#include <sys/prctl.h>

namespace things {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_reopen{500};
constexpr milliseconds serial_reopen{500};
constexpr milliseconds last_reopen{15000};
constexpr milliseconds wake_slice{50};
constexpr milliseconds right_after{1000}; // an answer: a connection closed then was not idle
constexpr int enough_closed = 3;          // connections in a row that brought one answer each
// The kernel may be 50 us late for a thread by default, for each wait: on a fast line with short requests
// that is a hundredth of the cycle.
constexpr unsigned long timer_slack_ns = 1000;

} // namespace

BusConnection::BusConnection(const LinkSettings& settings, std::unique_ptr<ByteLink> link,
                             const PluginHost* host)
    : settings_(settings), host_(host), link_(std::move(link)),
      random_(static_cast<unsigned>(link_->now().time_since_epoch().count())) {}

std::optional<LinkTrouble> BusConnection::open() {
    const SteadyTime now = link_->now();
    if (now < next_open_)
        return trouble_;
    if (settings_.serial)
        prctl(PR_SET_TIMERSLACK, timer_slack_ns);
    if (auto trouble = link_->open({now + settings_.connect_timeout, host_})) {
        if (trouble->is_interruption) // a command that waits: it will try again at once
            return trouble;
        trouble_ = std::move(*trouble);
        was_away_ = true;
        reopen_wait_ =
            settings_.serial ? serial_reopen : std::clamp(2 * reopen_wait_, first_reopen, last_reopen);
        next_open_ = reopen_time();
        return trouble_;
    }
    reopened_ = settings_.serial || std::exchange(was_away_, false);
    answers_ = 0;
    ready_ = link_->now() + settings_.connect_delay;
    return std::nullopt;
}

std::optional<LinkTrouble> BusConnection::await_ready() {
    while (link_->now() < ready_) {
        if (Patience{ready_, host_}.is_interrupted())
            return LinkTrouble{"interrupted", "", true};
        link_->sleep_until(std::min(ready_, link_->now() + wake_slice));
    }
    return std::nullopt;
}

void BusConnection::lose() {
    trouble_ = link_->trouble();
    link_->close();
    learn_closing();
    // A server that accepts and closes at once is not to be stormed.
    if (!settings_.serial && !has_answered())
        reopen_wait_ = std::clamp(2 * reopen_wait_, first_reopen, last_reopen);
    next_open_ = settings_.serial ? link_->now() : reopen_time();
}

SteadyTime BusConnection::reopen_time() {
    const auto least = settings_.serial ? reopen_wait_.count() : reopen_wait_.count() / 2;
    return link_->now() + milliseconds(std::uniform_int_distribution(least, reopen_wait_.count())(random_));
}

void BusConnection::on_answer() {
    reopen_wait_ = milliseconds(0);
    last_answer_ = link_->now();
    if (++answers_ > 1)
        closed_after_one_ = 0;
    if (is_for_one_)
        link_->close();
}

// One that answers once and closes is asked on a new connection each time: on the old one the next request,
// perhaps a command, could be lost.
void BusConnection::learn_closing() {
    if (settings_.serial || is_for_one_)
        return;
    const bool after_one = answers_ == 1 && link_->now() < last_answer_ + right_after;
    closed_after_one_ = after_one ? closed_after_one_ + 1 : 0;
    if (closed_after_one_ < enough_closed)
        return;
    is_for_one_ = true;
    note_ = LinkTrouble{"closes_after_answer",
                        settings_.text() + " closes the connection after each answer. Each request now has a "
                                           "connection of its own; that works, and takes a little longer."};
}

} // namespace things
