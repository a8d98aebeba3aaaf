// SPDX-License-Identifier: Apache-2.0
#include "delivery/platform_time.hpp"

#include "delivery/explanation.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace things {

namespace {

// Three answers in half a minute make the clock trusted (queue/clock_trust.hpp).
constexpr std::int64_t every_ms = 15'000;
constexpr std::int64_t later_ms = 60'000;

} // namespace

PlatformTime::PlatformTime(boost::asio::io_context& loop, Https& https, UploadPorts& ports)
    : loop_(loop), https_(https), ports_(ports) {}

void PlatformTime::ask() {
    if (is_asking_ || ports_.clock.boot_ms() < again_ms_)
        return;
    is_asking_ = true;
    Post question;
    question.asks_time = true;
    auto handler = [this, &loop = loop_, alive = std::weak_ptr(alive_)](Answer answer) {
        // The handler is called on the upload thread.
        boost::asio::post(loop, [this, alive, answer = std::move(answer)] {
            if (!alive.expired())
                on_answer(answer);
        });
    };
    https_.post(std::move(question), std::move(handler));
}

void PlatformTime::on_answer(const Answer& answer) {
    is_asking_ = false;
    const bool has_date = answer.error == TransportError::none && parse_http_date(answer.date);
    again_ms_ = ports_.clock.boot_ms() + (has_date ? every_ms : later_ms);
    const Circumstances around{
        ports_.host, {}, {}, ports_.clock.wall_ms(), ports_.hooks.is_clock_plausible()};
    problem_ = has_date                               ? std::string()
               : answer.error == TransportError::none ? ports_.host + " answered without telling the time."
                                                      : explain(answer, around).text();
    note(answer);
}

void PlatformTime::note(const Answer& answer) {
    const auto date = parse_http_date(answer.date);
    if (ports_.hooks.on_date && answer.is_verified && answer.error == TransportError::none && date)
        ports_.hooks.on_date(*date * 1000, answer.duration);
}

} // namespace things
