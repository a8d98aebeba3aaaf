// SPDX-License-Identifier: Apache-2.0
#include "routing/command_check.hpp"

#include "platform/json.hpp"
#include "routing/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace things {

namespace {

// RFC 8428 4.5.3: smaller times are relative to now.
constexpr double absolute_from_s = 268435456.0;
constexpr std::int64_t same_time_ms = 1000;

std::string shortened(std::string_view name) {
    constexpr std::size_t most = 60;
    return name.size() <= most ? std::string(name) : std::string(name.substr(0, most)) + "...";
}

const PointConfig* find_point(const DeviceConfig& device, std::string_view name) {
    for (const auto& point : device.points)
        if (point.name == name)
            return &point;
    return nullptr;
}

std::string check_text(const std::string& text) {
    if (text.size() > command_max_text)
        return fmt::format("a text of {} bytes is too long, {} is the most", text.size(), command_max_text);
    // A newline would be a second command to a serial device, a NUL cuts the text short.
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            return "the text holds a control character";
    return {};
}

/// Labels to raw values, 0 and 1 to booleans, whole numbers to integers.
std::string resolve(const PointConfig& point, ValueKind kind, Value& value) {
    const bool was_text = std::holds_alternative<std::string>(value);
    // The platform may send the label or the value behind it.
    value = without_label(point, value);
    if (!point.labels.empty() && was_text && std::holds_alternative<std::string>(value))
        return fmt::format("{} is none of its labels", in_words(point, value));
    if (const auto* number = std::get_if<double>(&value)) {
        if (!std::isfinite(*number))
            return "not a finite number";
        constexpr double exact = 9007199254740992.0; // 2^53
        // JSON has one kind of number: 21 and 21.0 are the same command.
        if (*number == std::floor(*number) && std::abs(*number) <= exact)
            value = static_cast<std::int64_t>(*number);
    }
    if (kind == ValueKind::boolean) {
        if (value == Value(std::int64_t{0}))
            value = false;
        else if (value == Value(std::int64_t{1}))
            value = true;
    }
    return {};
}

std::string check_kind(const PointConfig& point, ValueKind kind, const Value& value) {
    const bool is_text = std::holds_alternative<std::string>(value);
    const bool is_boolean = std::holds_alternative<bool>(value);
    if (kind == ValueKind::boolean && !is_boolean)
        return fmt::format("{} is neither true nor false", in_words(point, value));
    if (kind == ValueKind::number && (is_text || is_boolean))
        return fmt::format("{} is not a number", in_words(point, value));
    if (kind == ValueKind::text && !is_text)
        return fmt::format("{} is not a text", in_words(point, value));
    return is_text ? check_text(std::get<std::string>(value)) : std::string();
}

std::string check_labels(const PointConfig& point, const Value& value) {
    if (point.labels.empty())
        return {};
    for (const auto& [raw, label] : point.labels)
        if (is_same(point, value, raw))
            return {};
    return fmt::format("{} is none of its labels", in_words(point, value));
}

std::string check_range(const PointConfig& point, const Writable& writable, const Value& value) {
    const auto number = number_in(value);
    if (!number)
        return {};
    const auto unit = point.unit.empty() ? std::string() : " " + point.unit;
    if (writable.min && *number < *writable.min)
        return fmt::format("{} is below its minimum {}{}", in_words(point, value), json_number(*writable.min),
                           unit);
    if (writable.max && *number > *writable.max)
        return fmt::format("{} is above its maximum {}{}", in_words(point, value), json_number(*writable.max),
                           unit);
    return {};
}

std::string check_allowed(const PointConfig& point, const Writable& writable, const Value& value) {
    if (writable.allowed.empty())
        return {};
    for (const auto& allowed : writable.allowed)
        if (is_same(point, allowed, value))
            return {};
    return fmt::format("{} is none of its allowed values", in_words(point, value));
}

/// Fills in the delay. Returns the reason why the time cannot be met, or "".
std::string check_time(const DownlinkRecord& record, const Writable& writable, const CheckContext& context,
                       CheckedRecord& checked) {
    if (!record.time_s)
        return {};
    const bool is_absolute = *record.time_s >= absolute_from_s;
    if (is_absolute && !context.clock_trusted)
        return "it names a time of day, and the gateway's clock is not set yet";
    const double now_s = is_absolute ? static_cast<double>(context.now_wall_ms) / 1000.0 : 0.0;
    const double delay_ms = (*record.time_s - now_s) * 1000.0;
    if (delay_ms > static_cast<double>(command_max_delay_ms))
        return "its time is more than 7 days ahead";
    if (delay_ms < -static_cast<double>(writable.ttl.count())) {
        checked.expired = true;
        return fmt::format("its time was {:.0f} s ago, and it holds for {:.0f} s", -delay_ms / 1000.0,
                           static_cast<double>(writable.ttl.count()) / 1000.0);
    }
    checked.delay_ms = static_cast<std::int64_t>(std::llround(delay_ms));
    return {};
}

std::string check_switches(const PointConfig& point, const CheckContext& context) {
    if (!context.writes)
        return "writes are switched off";
    if (context.read_only_sources.count(point.source) != 0)
        return fmt::format("writes are switched off for source '{}'", point.source);
    return {};
}

CheckedRecord check_record(const DownlinkRecord& record, const DeviceConfig& device,
                           const CheckContext& context) {
    CheckedRecord checked;
    checked.config = find_point(device, record.name);
    checked.point = checked.config != nullptr ? checked.config->name : shortened(record.name);
    if (record.value)
        checked.value = *record.value;
    if (checked.config == nullptr) {
        checked.reason = no_such_point;
        return checked;
    }
    const PointConfig& point = *checked.config;
    const auto last = context.last.find(point.name);
    const auto kind = kind_of(point, last == context.last.end() ? std::nullopt : std::optional(last->second));
    checked.reason = !point.writable ? "it is read only" : check_switches(point, context);
    if (checked.reason.empty() && !record.value)
        checked.reason = "it asks for no value that can be written";
    if (checked.reason.empty() && !record.unit.empty() && record.unit != point.unit)
        checked.reason = fmt::format("its unit is '{}', not '{}'", point.unit, shortened(record.unit));
    if (checked.reason.empty())
        checked.reason = check_value(point, kind, checked.value);
    if (checked.reason.empty())
        checked.reason = check_time(record, *point.writable, context, checked);
    return checked;
}

std::string too_soon(const Writable& writable, std::int64_t since_ms) {
    if (since_ms >= writable.min_interval.count())
        return {};
    return fmt::format("it may be written every {:.0f} s only",
                       std::ceil(static_cast<double>(writable.min_interval.count()) / 1000.0));
}

/// Holds each record against the write before it, done or planned.
void check_intervals(std::vector<CheckedRecord>& records, const CheckContext& context) {
    std::map<std::string, std::int64_t> planned; // by point: when, relative to now
    for (const auto& [point, since] : context.since_write_ms)
        planned[point] = -since;
    for (auto& record : records) {
        if (!record.reason.empty())
            continue;
        const auto at = std::max<std::int64_t>(record.delay_ms, 0);
        if (const auto before = planned.find(record.point); before != planned.end())
            record.reason = too_soon(*record.config->writable, at - before->second);
        if (record.reason.empty())
            planned[record.point] = at;
    }
}

/// One refused record refuses the whole downlink.
void refuse_together(std::vector<CheckedRecord>& records) {
    const auto culprit = std::find_if(records.begin(), records.end(),
                                      [](const CheckedRecord& r) { return !r.reason.empty(); });
    if (culprit == records.end())
        return;
    const auto reason = fmt::format("refused together with '{}': {}", culprit->point, culprit->reason);
    for (auto& record : records)
        if (record.reason.empty())
            record.reason = reason;
}

} // namespace

bool Checked::is_any_allowed() const {
    return std::any_of(records.begin(), records.end(),
                       [](const CheckedRecord& r) { return r.reason.empty(); });
}

Checked check(const Downlink& downlink, const DeviceConfig& device, const CheckContext& context) {
    Checked checked;
    checked.records.reserve(downlink.records.size());
    for (const auto& record : downlink.records)
        checked.records.push_back(check_record(record, device, context));
    // By the time they are due, as the intervals between writes need it; what is overdue counts as now.
    std::stable_sort(checked.records.begin(), checked.records.end(),
                     [](const CheckedRecord& a, const CheckedRecord& b) {
                         return std::max<std::int64_t>(a.delay_ms, 0) < std::max<std::int64_t>(b.delay_ms, 0);
                     });
    check_intervals(checked.records, context);
    if (device.commands == CommandMode::atomic)
        refuse_together(checked.records);
    return checked;
}

bool is_switched_on(const PointConfig& point, const CheckContext& context) {
    return check_switches(point, context).empty();
}

CheckedRecord check_again(const Command& command, const DeviceConfig& device, const CheckContext& context,
                          bool is_interval_free) {
    DownlinkRecord record;
    record.name = command.point;
    record.value = command.value;
    auto checked = check_record(record, device, context);
    const auto since = context.since_write_ms.find(command.point);
    if (checked.reason.empty() && !is_interval_free && since != context.since_write_ms.end())
        checked.reason = too_soon(*checked.config->writable, since->second);
    return checked;
}

std::string check_value(const PointConfig& point, ValueKind kind, Value& value) {
    if (!point.writable)
        return "it is read only";
    auto reason = resolve(point, kind, value);
    if (reason.empty())
        reason = check_kind(point, kind, value);
    if (reason.empty())
        reason = check_labels(point, value);
    if (reason.empty())
        reason = check_range(point, *point.writable, value);
    if (reason.empty())
        reason = check_allowed(point, *point.writable, value);
    return reason;
}

std::string check_step(const PointConfig& point, const Value& before, const Value& value) {
    if (!point.writable || !point.writable->max_step)
        return {};
    const double most = *point.writable->max_step;
    const auto from = number_in(without_label(point, before)), to = number_in(without_label(point, value));
    if (!from || !to)
        return fmt::format("the step from {} cannot be measured", in_words(point, before));
    // A reading of a 32-bit float is a hair off what was once written.
    if (std::abs(*to - *from) <= most * (1 + 1e-6))
        return {};
    return fmt::format("the step from {} to {} is larger than {}", in_words(point, before),
                       in_words(point, value), json_number(most));
}

bool is_repeat(const std::vector<CheckedRecord>& records, const std::vector<Command>& previous,
               std::int64_t elapsed_ms, std::int64_t now_wall_ms) {
    if (records.empty() || records.size() != previous.size())
        return false;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const auto& record = records[i];
        const auto& command = previous[i];
        if (record.config == nullptr || !record.config->writable || record.point != command.point)
            return false;
        if (elapsed_ms >= record.config->writable->repeat_window.count())
            return false;
        const auto shift = now_wall_ms + record.delay_ms - (command.received_wall_ms + command.delay_ms);
        if (record.delay_ms != command.delay_ms && std::abs(shift) > same_time_ms)
            return false;
        if (!is_same(*record.config, record.value, command.value))
            return false;
    }
    return true;
}

} // namespace things
