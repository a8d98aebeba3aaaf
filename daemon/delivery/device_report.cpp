// SPDX-License-Identifier: Apache-2.0
#include "delivery/device_report.hpp"

#include "platform/log.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

namespace {

constexpr std::int64_t dead_log_interval_ms = 60'000;
constexpr std::int64_t log_interval_ms = 600'000;
// A device that alone fails for this long needs somebody, although the uplink as a whole is well.
constexpr std::int64_t failing_told_ms = 300'000;

} // namespace

void DeviceReport::note_answer(const Answer& answer, const Verdict& verdict, const Explanation& words) {
    stats_.last_status = answer.status;
    stats_.last_answer = verdict.reason;
    if (answer.error == TransportError::none)
        stats_.latency = answer.duration;
    last_ = words;
}

void DeviceReport::note_accepted(std::size_t readings, std::size_t bytes) {
    stats_.last_accepted_ms = ports_.clock.wall_ms();
    ++stats_.packs;
    stats_.bytes += bytes;
    stats_.readings += readings;
}

void DeviceReport::tell_retry(const Answer& answer, const Verdict& verdict, bool is_uplink_down) {
    log_retry(answer, verdict.reason);
    const std::int64_t now = ports_.clock.boot_ms();
    if (failing_since_ms_ == 0)
        failing_since_ms_ = now;
    const bool is_ours = answer.error == TransportError::not_signed;
    // If the uplink is down its own alarm tells. If not, the others are well, and without this alarm the
    // readings of this device would wait in silence.
    if (is_uplink_down || told_failure_ == verdict.cause ||
        (!is_ours && now - failing_since_ms_ < failing_told_ms))
        return;
    told_failure_ = verdict.cause;
    const std::string text =
        fmt::format("{}: its readings are kept and do not get through: {}", device_.name, last_.text());
    log::write(log::Level::error, "upload: " + text, {{"DEVICE", device_.name}, {"VERDICT", verdict.reason}});
    ports_.hooks.on_alarm({UploadAlarm::Kind::device_failing, device_.id, text});
}

void DeviceReport::log_retry(const Answer& answer, const std::string& reason) {
    const std::int64_t now = ports_.clock.boot_ms();
    const int kind = answer.status * 100 + static_cast<int>(answer.error);
    if (logged_retry_ == kind && now - logged_retry_ms_ < log_interval_ms)
        return;
    logged_retry_ = kind;
    logged_retry_ms_ = now;
    log::write(log::Level::info,
               fmt::format("upload: {}: {}; its readings are kept and sent again", device_.name, reason),
               {{"DEVICE", device_.name}, {"VERDICT", reason}});
}

void DeviceReport::end_failing(const std::string& text) {
    failing_since_ms_ = 0;
    if (std::exchange(told_failure_, {}).empty())
        return;
    log::write(log::Level::info, fmt::format("upload: {}: {}", device_.name, text),
               {{"DEVICE", device_.name}, {"VERDICT", stats_.last_answer}});
    ports_.hooks.on_recovered({UploadAlarm::Kind::device_failing, device_.id, text});
}

void DeviceReport::tell_parked(bool is_other_reason) {
    if (is_park_told_ && !is_other_reason)
        return;
    is_park_told_ = true;
    end_failing("it is parked now");
    const std::string text = device_.name + " is parked: " + last_.text();
    log::write(log::Level::error, "upload: " + text,
               {{"DEVICE", device_.name}, {"VERDICT", stats_.last_answer}});
    ports_.hooks.on_alarm({UploadAlarm::Kind::device_parked, device_.id, text});
}

void DeviceReport::end_parked() {
    if (!std::exchange(is_park_told_, false))
        return;
    const std::string text = device_.name + ": the platform knows it again";
    log::write(log::Level::info, "upload: " + text,
               {{"DEVICE", device_.name}, {"VERDICT", stats_.last_answer}});
    ports_.hooks.on_recovered({UploadAlarm::Kind::device_parked, device_.id, text});
}

void DeviceReport::tell_search(const std::string& reason, std::size_t count) {
    // A point whose readings are never accepted begins a search with each pack.
    const std::int64_t now = ports_.clock.boot_ms();
    if (logged_search_ms_ != 0 && now - logged_search_ms_ < log_interval_ms)
        return;
    logged_search_ms_ = now;
    log::write(log::Level::warning,
               fmt::format("upload: {}: {}; searching the reading among {} that is not accepted",
                           device_.name, reason, count),
               {{"DEVICE", device_.name}, {"VERDICT", reason}});
}

void DeviceReport::tell_dead(std::size_t count, const std::string& reason) {
    stats_.dead += count;
    ports_.totals.readings_dead += count;
    dead_unlogged_ += count;
    const std::int64_t now = ports_.clock.boot_ms();
    if (logged_dead_ms_ != 0 && now - logged_dead_ms_ < dead_log_interval_ms)
        return;
    const std::string text =
        fmt::format("{}: {} readings set aside as dead letters: {}", device_.name, dead_unlogged_, reason);
    logged_dead_ms_ = now;
    dead_unlogged_ = 0;
    log::write(log::Level::warning, "upload: " + text, {{"DEVICE", device_.name}, {"VERDICT", reason}});
    ports_.hooks.on_alarm({UploadAlarm::Kind::dead_letter, device_.id, text});
}

void DeviceReport::forget_alarms() {
    is_park_told_ = false;
    told_failure_.clear();
}

} // namespace things
