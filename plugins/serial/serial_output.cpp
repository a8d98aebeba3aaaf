// SPDX-License-Identifier: Apache-2.0
#include "serial/serial_source.hpp"

#include "link/printed_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

// What becomes of frames: values for points, answers to questions, and what is said about damage and silence.
namespace things {

namespace {

constexpr std::int64_t calm_ms = 600'000;      // so long without a damaged frame: it is over
constexpr std::int64_t tell_again_ms = 60'000; // damage of another kind, or the same with new counts

std::int64_t wall_now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace

void SerialSource::on_frame(const SerialFrame& frame) {
    if (is_discovering_)
        host_.found(fmt::format("{{\"frame\":{}}}", json_quoted(escaped(frame.bytes, 1000))));
    is_first_ = false;
    last_frame_ms_ = monotonic_ms();
    record_.on_frame(frame, last_frame_ms_);
    if (std::exchange(is_silent_, false))
        problems_.end("silence", "frames come in again on " + options_.where());
    // Only here: a frame that the guard does not let through still says that the line is alive.
    if (options_.guard && !options_.guard->is_found_in(frame.text()))
        return;
    record_.on_passed();
    if (question_ != nullptr && question_->write != nullptr)
        answer_write(frame, *question_);
    for (std::uint32_t i = 0; i < points_.size(); ++i) {
        bool is_asked = question_ != nullptr &&
                        std::find(question_->open.begin(), question_->open.end(), i) != question_->open.end();
        if (is_asked || points_[i].request.empty())
            offer(frame, i, is_asked);
    }
    if (question_ == nullptr || question_->write != nullptr || question_->verdict == THINGS_OK)
        return;
    question_->last_frame = frame.bytes;
    question_->last_damage.clear();
    if (question_->open.empty())
        question_->verdict = THINGS_OK;
}

void SerialSource::offer(const SerialFrame& frame, std::uint32_t index, bool is_asked) {
    State& state = states_[index];
    const SerialPoint& point = points_[index];
    Extracted extracted = extract(frame, point.rules, json_);
    if (extracted.outcome == Extracted::Outcome::elsewhere)
        return; // tell_reasons() says so
    std::uint32_t duration_us = 0;
    if (is_asked) {
        auto& open = question_->open;
        open.erase(std::remove(open.begin(), open.end(), index), open.end());
        auto took = std::chrono::steady_clock::now() - question_->asked;
        duration_us =
            static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    }
    if (extracted.outcome == Extracted::Outcome::value) {
        std::int64_t now = monotonic_ms();
        state.grid.see(now);
        state.value = std::move(extracted.value);
        state.has_value = true;
        state.raw = escaped(frame.bytes);
        state.wall_ms = wall_now_ms();
        if (std::exchange(state.is_failing, false))
            host_.report(THINGS_RECOVERED, THINGS_POINT, index, "", point.name + " is read again");
        if (!is_asked && !state.grid.is_due(now, point.interval_ms))
            return;
        state.grid.advance(now, point.interval_ms);
        emit(index, 0, duration_us);
        return;
    }
    if (!state.has_value)
        state.without = frame.bytes;
    bool is_unreadable = extracted.outcome == Extracted::Outcome::unreadable;
    if (!is_unreadable && !is_asked)
        return; // a scale that moves, a GPS without a fix: nothing to say
    if (std::exchange(state.is_failing, true) && !is_asked)
        return;
    host_.report(THINGS_PROBLEM, THINGS_POINT, index, is_unreadable ? "unreadable" : "no_value",
                 is_unreadable ? fmt::format("{}: \"{}\" in \"{}\" is not of the point's type", point.name,
                                             escaped(extracted.seen), escaped(frame.bytes))
                               : fmt::format("{}: the sensor has no value to use now; it said \"{}\"",
                                             point.name, escaped(frame.bytes)));
}

void SerialSource::emit(std::uint32_t index, std::uint32_t flags, std::uint32_t duration_us) {
    const State& state = states_[index];
    things_reading reading{};
    reading.size = sizeof reading;
    reading.point = index;
    reading.value = make_value(state.value);
    reading.time_ms = state.wall_ms;
    reading.flags = flags;
    reading.duration_us = duration_us;
    reading.raw = state.raw.c_str();
    host_.emit(&reading, 1);
}

/// The last values again, for a read by hand.
void SerialSource::repeat(const std::vector<std::uint32_t>& points) {
    for (std::uint32_t index : points)
        if (states_[index].has_value)
            emit(index, THINGS_UNCHANGED | THINGS_OWN_TIME, 0);
}

void SerialSource::answer_write(const SerialFrame& frame, Question& question) {
    question.last_frame = frame.bytes;
    if (question.write->refuse && question.write->refuse->is_found_in(frame.text()))
        question.verdict = THINGS_REFUSED;
    else if (question.write->expect && question.write->expect->is_found_in(frame.text()))
        question.verdict = THINGS_OK;
}

void SerialSource::on_damage(const FrameDamage& damage) {
    if (is_discovering_)
        host_.found(fmt::format("{{\"damaged\":{},\"why\":{}}}", json_quoted(escaped(damage.bytes, 1000)),
                                json_quoted(damage.why)));
    // Whoever comes in the middle finds the rest of a frame. Nobody talks before he is asked.
    if (std::exchange(is_first_, false) && question_ == nullptr)
        return record_.on_rest(damage);
    record_.on_damage(damage);
    if (question_ != nullptr)
        question_->last_damage = record_.last_damage();
    last_damage_ms_ = monotonic_ms();
    bool is_known = std::exchange(is_damaging_, true);
    if (is_known && last_damage_ms_ - told_damage_ms_ < tell_again_ms)
        return;
    told_damage_ms_ = last_damage_ms_;
    problems_.begin("damaged_frame",
                    fmt::format("a damaged frame came on {}: {}. Nothing of it is used; {}. {}",
                                options_.where(), record_.last_damage(), record_.counts(),
                                record_.has_good() ? "A long or loose cable, or a disturbance beside it."
                                                   : record_.advice()));
}

void SerialSource::look_after(std::int64_t now_ms) {
    if (is_damaging_ && now_ms - last_damage_ms_ >= calm_ms) {
        is_damaging_ = false;
        problems_.end("damaged_frame", fmt::format("no damaged frame on {} for {} minutes; {}",
                                                   options_.where(), calm_ms / 60'000, record_.counts()));
    }
    if (!has_talkers_ || now_ms - last_frame_ms_ < options_.alarm_after.count())
        return;
    // Another cause is another text.
    if (std::exchange(is_silent_, true) && record_.cause() == told_silence_)
        return;
    told_silence_ = record_.cause();
    problems_.begin("silence",
                    fmt::format("no good frame on {}: {}", options_.where(), record_.why_silent(now_ms)));
}

void SerialSource::tell_reasons() const {
    for (std::uint32_t i = 0; stream_ && i < points_.size(); ++i) {
        const State& state = states_[i];
        if (!points_[i].request.empty() || state.has_value)
            continue;
        host_.reason(
            THINGS_POINT, i,
            state.without.empty()
                ? record_.why_none(points_[i].rules, monotonic_ms())
                : fmt::format("the last frame about it had no value to use (guard, empty, invalid or not "
                              "of its type): {}",
                              shown_bytes(state.without)));
    }
}

/// The value as the sensor counts it; nothing if the point cannot hold it.
std::optional<SentValue> SerialSource::to_sent(std::uint32_t index, const things_value& value) {
    const PointRules& rules = points_[index].rules;
    SentValue sent;
    if (value.kind == THINGS_TEXT) {
        sent.is_text = true;
        sent.text = std::string(text_of(value));
        // A line end in a text would be a second command.
        bool is_plain = std::all_of(sent.text.begin(), sent.text.end(), [](char c) {
            return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
        });
        return is_plain && rules.type == ValueType::string ? std::optional(sent) : std::nullopt;
    }
    std::optional<double> number = number_of(value);
    if (!number || rules.type == ValueType::string)
        return std::nullopt;
    sent.number = (*number - rules.offset) / rules.scale;
    // 21.5 / 0.1 is 215, not 214.99999999999997.
    // Six places of numbers up to 1e9 are what a double holds for sure.
    if (std::fabs(sent.number) < 1e9)
        sent.number = std::round(sent.number * 1e6) / 1e6;
    return sent;
}

/// What it should read back: rounded to what was sent.
void SerialSource::set_written(const SerialPoint& point, const std::string& shown, const things_value& value,
                               things_value& written) {
    if (value.kind == THINGS_TEXT) {
        written_text_ = shown;
        written = make_value(written_text_);
        return;
    }
    std::optional<double> raw = point.write->number_in(shown);
    if (value.kind == THINGS_BOOL || !raw) {
        written = value;
        return;
    }
    written = make_value(scaled(decimal_of(*raw), *raw, point.rules.scale, point.rules.offset));
}

} // namespace things
