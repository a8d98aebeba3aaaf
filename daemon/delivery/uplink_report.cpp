// SPDX-License-Identifier: Apache-2.0
#include "delivery/uplink_report.hpp"

#include "platform/log.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t log_interval_ms = 600'000;

} // namespace

void UplinkReport::on_answer(Uplink::Change change, const Uplink& uplink, std::uint64_t failures_before,
                             const Answer& answer, const Explanation& words) {
    if (uplink.failures() != failures_before) {
        last_ = words;
        last_status_ = answer.status;
    }
    if (change == Uplink::Change::came_up)
        tell_recovered(uplink);
    else if (change != Uplink::Change::none)
        tell_trouble(change, answer, words.text());
}

void UplinkReport::tell_recovered(const Uplink& uplink) {
    told_causes_.clear();
    const std::string text = fmt::format("{} answers again, after {} s", ports_.host,
                                         (ports_.clock.boot_ms() - uplink.down_since_ms()) / 1000);
    log::info("upload: {}", text);
    if (std::exchange(is_down_told_, false))
        ports_.hooks.on_recovered({UploadAlarm::Kind::uplink_down, std::nullopt, text});
    if (std::exchange(is_misdirected_told_, false))
        ports_.hooks.on_recovered({UploadAlarm::Kind::misdirected, std::nullopt, text});
}

void UplinkReport::tell_trouble(Uplink::Change change, const Answer& answer, const std::string& text) {
    const Verdict verdict = judge(answer, ports_.clock.wall_ms());
    // A link that comes back soon needs nobody: the first failure is a line of the log, no alarm.
    if (change == Uplink::Change::went_down)
        return log::write(log::Level::warning, fmt::format("upload: {} Trying again by itself.", text),
                          {{"VERDICT", verdict.reason}});
    const bool is_misdirected = verdict.next == Next::misdirected;
    const bool is_alarm =
        change != Uplink::Change::changed || is_misdirected || is_down_told_ || is_misdirected_told_;
    if (is_news(verdict.cause))
        log::write(is_alarm ? log::Level::error : log::Level::warning, "upload: " + text,
                   {{"VERDICT", verdict.reason}});
    if (!is_alarm)
        return;
    // One cause at a time: the other alarm would go on telling what is no longer true.
    bool& told = is_misdirected ? is_misdirected_told_ : is_down_told_;
    bool& other = is_misdirected ? is_down_told_ : is_misdirected_told_;
    const auto kind = is_misdirected ? UploadAlarm::Kind::misdirected : UploadAlarm::Kind::uplink_down;
    const auto other_kind = is_misdirected ? UploadAlarm::Kind::uplink_down : UploadAlarm::Kind::misdirected;
    told = true;
    if (std::exchange(other, false))
        ports_.hooks.on_recovered({other_kind, std::nullopt, text});
    ports_.hooks.on_alarm({kind, std::nullopt, text});
}

bool UplinkReport::is_news(const std::string& cause) {
    const std::int64_t now = ports_.clock.boot_ms();
    const auto [at, is_new] = told_causes_.try_emplace(cause, now);
    return is_new || now - std::exchange(at->second, now) >= log_interval_ms;
}

} // namespace things
