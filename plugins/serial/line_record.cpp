// SPDX-License-Identifier: Apache-2.0
#include "serial/line_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace things {

namespace {

constexpr std::size_t most_kept = 120;
constexpr std::int64_t worth_telling_ms = 10'000;

std::string number_of(std::uint64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

const char* noun_of(const SerialOptions& options) {
    return options.frame.kind == FrameKind::line ? "line" : "frame";
}

std::string span(std::int64_t from_ms, std::int64_t to_ms) {
    return fmt::format("{} s", std::max<std::int64_t>((to_ms - from_ms + 500) / 1000, 1));
}

} // namespace

LineRecord::LineRecord(std::string name, const SerialOptions& options)
    : name_(std::move(name)), options_(options) {}

void LineRecord::on_open(std::int64_t now_ms) {
    at_open_ = at_frame_ = total_;
    passed_ = 0;
    open_ms_ = frame_ms_ = byte_ms_ = now_ms;
    last_bytes_.clear();
    last_frame_.clear();
    last_damage_.clear();
    is_checksum_wrong_ = false;
}

void LineRecord::on_bytes(std::string_view bytes, std::int64_t now_ms) {
    total_.bytes += bytes.size();
    byte_ms_ = now_ms;
    last_bytes_ += bytes.substr(bytes.size() - std::min(bytes.size(), most_kept));
    if (last_bytes_.size() > most_kept)
        last_bytes_.erase(0, last_bytes_.size() - most_kept);
}

void LineRecord::on_frame(const SerialFrame& frame, std::int64_t now_ms) {
    ++total_.frames;
    at_frame_ = total_;
    frame_ms_ = now_ms;
    last_frame_ = frame.bytes.substr(0, most_kept + 1);
}

void LineRecord::on_damage(const FrameDamage& damage) {
    ++total_.damaged;
    on_rest(damage);
}

void LineRecord::on_rest(const FrameDamage& damage) {
    is_checksum_wrong_ = damage.kind == FrameDamage::Kind::checksum &&
                         options_.frame.checksum.kind != ChecksumKind::none &&
                         (is_text(damage.bytes) || options_.frame.kind != FrameKind::line);
    last_damage_ = fmt::format("{}: {}", damage.why, shown_bytes(damage.bytes));
}

std::string LineRecord::counts() const {
    return fmt::format("{} damaged, {} good since the start", total_.damaged, total_.frames);
}

std::string LineRecord::heard() const {
    return fmt::format("{}, {}, {} damaged, {}", number_of(total_.bytes - at_open_.bytes, "byte"),
                       number_of(total_.frames - at_open_.frames, "good frame"),
                       total_.damaged - at_open_.damaged, is_text(last_bytes_) ? "text" : "no text");
}

LineRecord::Cause LineRecord::cause_of(const Counts& since) const {
    if (total_.damaged > since.damaged)
        return Cause::damage;
    return total_.bytes > since.bytes ? Cause::no_frame : Cause::nothing;
}

std::string LineRecord::advice() const {
    if (is_checksum_wrong_)
        return "If it is so with all, see to `checksum` with its _from, _gap, _tail, _negate, _order and "
               "_form, "
               "then to speed and parity.";
    if (options_.port.empty())
        return "Is this the right tcp_port, and the speed of the serial server that of the sensor? "
               "`kpn-things-gateway scan " +
               name_ + "` shows what comes.";
    return fmt::format("Wrong speed or parity (it is read at {})? `kpn-things-gateway scan {} --baud "
                       "4800,9600,19200,115200` tries others.",
                       to_text(options_.line), name_);
}

/// Bytes came, and no frame was made of them.
std::string LineRecord::no_end() const {
    const FrameRules& rules = options_.frame;
    const std::string last = "; the last bytes: " + shown_bytes(last_bytes_);
    if (std::all_of(last_bytes_.begin(), last_bytes_.end(), [](char c) { return c == '\0'; }))
        return "but all are NUL: a line at rest looks so when A and B are swapped or the signal is inverted, "
               "or far too fast";
    if (!rules.start.empty() && last_bytes_.find(rules.start) == std::string::npos)
        return fmt::format("but none of it begins a frame (`start`: {}){}", shown_bytes(rules.start), last);
    switch (rules.kind) {
    case FrameKind::line:
        return "but no line end" + last;
    case FrameKind::delimiter:
        return fmt::format("but no end of a frame (`delimiter`: {}){}", shown_bytes(rules.delimiter), last);
    case FrameKind::fixed:
        return fmt::format("but no frame of {} bytes{}", rules.length, last);
    case FrameKind::length:
        return "but no whole frame" + last;
    case FrameKind::silence:
        break;
    }
    return fmt::format("but no pause of {} ms (`silence`) that ends a frame{}", options_.silence.count(),
                       last);
}

std::string LineRecord::why_no_frame(const Counts& since, std::int64_t since_ms, std::int64_t now_ms) const {
    const std::string in = " in " + span(since_ms, now_ms);
    switch (cause_of(since)) {
    case Cause::nothing:
        return fmt::format(
            "nothing came on {}{}: is the sensor on, the cable in; must it be started (on_open) "
            "or asked (request)?",
            options_.where(), in);
    case Cause::damage:
        return fmt::format(
            "{}{}, {}, none of them good; the last: {}. {}", number_of(total_.bytes - since.bytes, "byte"),
            in, number_of(total_.damaged - since.damaged, "damaged frame"), last_damage_, advice());
    case Cause::no_frame:
        break;
    }
    return fmt::format("{}{}, {}. {}", number_of(total_.bytes - since.bytes, "byte"), in,
                       last_damage_.empty() || total_.frames > at_open_.frames
                           ? no_end()
                           : "but only the rest of a frame: " + last_damage_,
                       advice());
}

std::string LineRecord::why_silent(std::int64_t now_ms) const {
    return why_no_frame(at_frame_, frame_ms_, now_ms);
}

std::string LineRecord::why_none(const PointRules& rules, std::int64_t now_ms) const {
    const std::uint64_t frames = total_.frames - at_open_.frames;
    if (frames == 0)
        return why_no_frame(at_open_, open_ms_, now_ms);
    std::string text =
        fmt::format("{} in {}, {}, none {}; the last", number_of(total_.bytes - at_open_.bytes, "byte"),
                    span(open_ms_, now_ms), number_of(frames, noun_of(options_)),
                    passed_ == 0 && options_.guard
                        ? fmt::format("with the source's guard `{}` in it", options_.guard->text())
                        : wanted(rules));
    if (now_ms - frame_ms_ >= worth_telling_ms)
        text += fmt::format(" ({} ago)", span(frame_ms_, now_ms));
    text += ": " + shown_bytes(last_frame_);
    if (const std::uint64_t damaged = total_.damaged - at_open_.damaged; damaged > 0)
        text += fmt::format("; {} beside, the last: {}", number_of(damaged, "damaged frame"), last_damage_);
    if (!is_text(last_frame_) && options_.frame.kind == FrameKind::line)
        text += ". That is no text. " + advice();
    return text;
}

std::string LineRecord::why_no_answer(std::uint64_t bytes) const {
    const std::uint64_t came = total_.bytes - bytes;
    if (came == 0)
        return {};
    return fmt::format("{} came, {}. {}", number_of(came, "byte"), no_end(), advice());
}

} // namespace things
