// SPDX-License-Identifier: Apache-2.0
#include "p1/point_output.hpp"

#include "p1/object_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace things {

namespace {

constexpr std::int64_t tolerated_skew_ms = 300'000;
constexpr std::size_t max_entries = 4096; // of a list; more than ten years of peaks and failures

/// What a connection can carry: 1 MW, 1000 m3/h, with room for a telegram or two.
CounterGuard make_guard(const UnitScale* scale) {
    bool is_volume = scale != nullptr && scale->primary == "m3";
    return is_volume ? CounterGuard(1000.0 / 3600, 10) : CounterGuard(1e6, 3.6e6);
}

std::string printed(const MeterNumber& number) {
    const auto digits = static_cast<std::int64_t>(number.value.mantissa); // of a parsed number: at most 18
    std::string value = number.value.exponent == 0 ? fmt::format("{}", digits)
                                                   : fmt::format("{}e{}", digits, number.value.exponent);
    return number.unit.empty() ? value : value + "*" + number.unit;
}

std::optional<Amount> in_unit(const MeterNumber& number, const P1Point& point) {
    if (number.scale == nullptr) // no unit: a count, a state
        return to_amount(number.value);
    if (point.unit.empty())
        return convert(number.value, *number.scale, *find_scale(number.scale->primary));
    if (point.wanted != nullptr)
        return convert(number.value, *number.scale, *point.wanted);
    return point.unit == number.unit ? std::optional(to_amount(number.value)) : std::nullopt;
}

std::string describe(const P1Point& point) {
    const Selection& selection = point.selection;
    const std::string& what = !selection.obis.empty()  ? selection.obis
                              : selection.name.empty() ? selection.medium
                                                       : selection.name;
    return point.name == what ? point.name : fmt::format("{} ({})", point.name, what);
}

} // namespace

PointOutput::PointOutput(PluginHost host, SourceProblems& problems, std::vector<P1Point> points,
                         bool is_meter_clock)
    : host_(host), problems_(problems), points_(std::move(points)), states_(points_.size()),
      is_meter_clock_(is_meter_clock) {}

void PointOutput::take(const Telegram& telegram, const Arrival& arrival,
                       const std::vector<std::uint32_t>* only) {
    watch_clock(telegram, arrival);
    for (std::uint32_t i = 0; i < points_.size(); ++i) {
        bool is_wanted = only != nullptr && std::find(only->begin(), only->end(), i) != only->end();
        if (only == nullptr || is_wanted)
            take_point(i, telegram, arrival, is_wanted);
    }
}

void PointOutput::take_point(std::uint32_t index, const Telegram& telegram, const Arrival& arrival,
                             bool is_wanted) {
    State& state = states_[index];
    const P1Point& point = points_[index];
    bool is_list = point.selection.is_list();
    state.grid.see(arrival.monotonic_ms);
    for (const Picked& picked : pick(telegram, point.selection)) {
        bool is_new = is_list ? state.entries.count(*picked.capture) == 0 : picked.capture != state.capture;
        if (is_list && (!is_new || state.entries.size() >= max_entries))
            continue;
        if (!is_plausible(index, picked, arrival))
            continue;
        // Entries of a list go by their own time, not by the interval: each is reported once.
        bool is_due_now = is_list || is_wanted || state.grid.is_due(arrival.monotonic_ms, point.interval_ms);
        bool is_repeated = picked.capture && !is_new;
        if (!is_due_now && state.has_value)
            continue;
        if (!set_value(index, picked))
            continue;
        set_time(state, picked, telegram, arrival);
        things_reading reading = state.last;
        if (is_repeated) {
            reading.flags |= THINGS_UNCHANGED; // an hour of gas comes in 3,600 telegrams
        } else if (is_list) {
            state.entries.insert(*picked.capture);
        } else {
            state.capture = picked.capture;
            state.grid.advance(arrival.monotonic_ms, point.interval_ms);
        }
        if (!is_repeated || is_wanted)
            host_.emit(&reading, 1);
    }
}

/// A counter that falls or leaps waits for a second telegram that says the same.
bool PointOutput::is_plausible(std::uint32_t index, const Picked& picked, const Arrival& arrival) {
    if (!picked.is_counter || picked.is_text)
        return true;
    State& state = states_[index];
    const UnitScale* scale = picked.number.scale;
    if (!state.guard)
        state.guard = make_guard(scale);
    std::optional<Amount> primary = scale == nullptr
                                        ? to_amount(picked.number.value)
                                        : convert(picked.number.value, *scale, *find_scale(scale->primary));
    if (!primary)
        return false;
    bool is_good = state.guard->accept(to_double(*primary), arrival.monotonic_ms);
    if (!is_good)
        host_.report(THINGS_NOTE, THINGS_POINT, index, "implausible",
                     fmt::format("{} fell or leapt to {}; it is believed once the next telegram says so too",
                                 describe(points_[index]), printed(picked.number)));
    return is_good;
}

/// False if the value cannot be had in the unit that is asked for.
bool PointOutput::set_value(std::uint32_t index, const Picked& picked) {
    State& state = states_[index];
    things_reading& reading = state.last;
    reading.size = sizeof reading;
    reading.point = index;
    reading.flags = 0;
    if (picked.is_text) {
        state.text = picked.text;
        reading.value = make_value(state.text);
        reading.raw = nullptr;
        state.has_value = true;
        return true;
    }
    std::optional<Amount> amount = in_unit(picked.number, points_[index]);
    if (!amount) {
        if (!state.has_mismatch)
            host_.report(
                THINGS_PROBLEM, THINGS_POINT, index, "unit",
                fmt::format(
                    "{}: the meter prints {}, which cannot be converted to {}; correct the point's unit",
                    describe(points_[index]), printed(picked.number), points_[index].unit));
        state.has_mismatch = true;
        return false;
    }
    const auto* whole = std::get_if<std::int64_t>(&*amount);
    reading.value = whole != nullptr ? make_value(*whole) : make_value(std::get<double>(*amount));
    state.raw = printed(picked.number);
    reading.raw = state.raw.c_str();
    state.has_value = true;
    return true;
}

void PointOutput::set_time(State& state, const Picked& picked, const Telegram& telegram,
                           const Arrival& arrival) const {
    std::optional<std::int64_t> seconds = picked.capture;
    if (!seconds && is_meter_clock_ && telegram.meter_time)
        seconds = telegram.meter_time->unix_seconds;
    if (seconds) {
        state.last.time_ms =
            *seconds * 1000 +
            (picked.capture && !points_[state.last.point].selection.is_list() ? skew_ms_ : 0);
        state.last.flags |= THINGS_OWN_TIME;
    } else {
        state.last.time_ms =
            arrival.wall_ms; // of use when it is repeated; the host knows the time of arrival
    }
}

/// A meter clock that is far off shifts all capture times; unless it is to be believed, they are put right by
/// as much.
void PointOutput::watch_clock(const Telegram& telegram, const Arrival& arrival) {
    skew_ms_ = 0;
    if (!telegram.meter_time || is_meter_clock_ || !arrival.is_wall_trusted)
        return;
    bool is_wrong = !telegram.meter_time->is_valid();
    if (!is_wrong) {
        std::int64_t skew = arrival.wall_ms - *telegram.meter_time->unix_seconds * 1000;
        is_wrong = std::abs(skew) > tolerated_skew_ms;
        skew_ms_ = is_wrong ? skew : 0;
    }
    if (is_wrong && !is_clock_wrong_)
        problems_.begin(
            "meter_clock",
            fmt::format("the clock of the meter says {}, which is far from the gateway's; its readings are "
                        "put on the gateway's clock. If the meter is right, set clock: meter.",
                        telegram.meter_time->text));
    if (!is_wrong && is_clock_wrong_)
        problems_.end("meter_clock", "the clock of the meter is right again");
    is_clock_wrong_ = is_wrong;
}

bool PointOutput::repeat(const std::vector<std::uint32_t>& points) {
    bool all = true;
    for (std::uint32_t index : points) {
        if (index >= points_.size())
            continue;
        State& state = states_[index];
        all = all && state.has_value;
        if (!state.has_value)
            continue;
        things_reading reading = state.last;
        reading.flags |= THINGS_UNCHANGED | THINGS_OWN_TIME;
        host_.emit(&reading, 1);
    }
    return all;
}

void PointOutput::tell_missing() {
    if (std::exchange(is_missing_told_, true))
        return;
    std::string names;
    for (std::size_t i = 0; i < points_.size(); ++i)
        if (!states_[i].has_value && !points_[i].selection.is_list() && !states_[i].has_mismatch)
            names += (names.empty() ? "" : ", ") + describe(points_[i]);
    if (!names.empty())
        host_.report(
            THINGS_NOTE, THINGS_SOURCE, 0, "not_sent",
            fmt::format("this meter does not send, or has no valid value for: {}. They are reported once it "
                        "does.",
                        names));
}

void PointOutput::tell_reasons(std::uint64_t telegrams) const {
    for (std::size_t i = 0; i < points_.size(); ++i)
        if (!states_[i].has_value && !points_[i].selection.is_list() && !states_[i].has_mismatch)
            host_.reason(THINGS_POINT, static_cast<std::uint32_t>(i),
                         fmt::format("in none of {} telegrams did this meter send a valid value for {}; "
                                     "`kpn-things-gateway scan` with the source's name lists what it sends",
                                     telegrams, describe(points_[i])));
}

} // namespace things
