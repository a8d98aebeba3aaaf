// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "serial/keys.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// What came over a line, and in words why that gives no value: how much, how much of it was a frame, the last
// thing that came and what did not fit in it. Always of the present state: another cause is another text.
// Pure: the time is an argument (CLOCK_MONOTONIC).
namespace things {

class LineRecord {
public:
    /// `name`: of the source, for commands to paste. `options` outlives it.
    LineRecord(std::string name, const SerialOptions& options);

    /// What came before the link was opened again counts only in counts().
    void on_open(std::int64_t now_ms);
    void on_bytes(std::string_view bytes, std::int64_t now_ms);
    /// Before anything else looks at it.
    void on_frame(const SerialFrame& frame, std::int64_t now_ms);
    /// The source's guard let the last frame through.
    void on_passed() { ++passed_; }
    void on_damage(const FrameDamage& damage);
    /// The rest of a frame in whose middle we came: what came last, but nothing to count.
    void on_rest(const FrameDamage& damage);

    /// Since the source was made.
    [[nodiscard]] std::string counts() const;
    /// "the checksum over bytes 2 to 7 is 05, but should be 04: AA C0 2C 00 37 00 7E 23 05 AB"
    [[nodiscard]] const std::string& last_damage() const { return last_damage_; }
    [[nodiscard]] std::uint64_t bytes() const { return total_.bytes; }
    [[nodiscard]] bool has_good() const { return total_.frames > 0; }
    /// Anything since the link was opened.
    [[nodiscard]] bool has_come() const { return total_.bytes > at_open_.bytes; }

    /// Why a point that talks by itself has had no value since the link was opened.
    [[nodiscard]] std::string why_none(const PointRules& rules, std::int64_t now_ms) const;
    /// Why no good frame has come since the last one.
    [[nodiscard]] std::string why_silent(std::int64_t now_ms) const;
    /// Differs where why_silent() gives another cause.
    enum class Cause : std::uint8_t { nothing, no_frame, damage };
    [[nodiscard]] Cause cause() const { return cause_of(at_frame_); }
    /// Why the bytes that came since `bytes` was bytes() are no answer; empty if none came.
    [[nodiscard]] std::string why_no_answer(std::uint64_t bytes) const;
    /// "72 bytes, 3 good frames, 0 damaged, text" since the link was opened.
    [[nodiscard]] std::string heard() const;
    /// What to do where none of the frames is good.
    [[nodiscard]] std::string advice() const;

private:
    struct Counts {
        std::uint64_t bytes = 0, frames = 0, damaged = 0;
    };
    [[nodiscard]] Cause cause_of(const Counts& since) const;
    [[nodiscard]] std::string why_no_frame(const Counts& since, std::int64_t since_ms,
                                           std::int64_t now_ms) const;
    [[nodiscard]] std::string no_end() const;

    std::string name_;
    const SerialOptions& options_;
    Counts total_, at_open_, at_frame_; ///< at_: how total_ stood then
    std::uint64_t passed_ = 0;          ///< since the link was opened
    std::int64_t open_ms_ = 0, frame_ms_ = 0, byte_ms_ = 0;
    bool is_checksum_wrong_ = false; ///< in the last damage, though it looks like a frame
    std::string last_bytes_, last_frame_, last_damage_;
};

} // namespace things
