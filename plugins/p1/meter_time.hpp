// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Time stamps as meters print them. Pure.
//   YYMMDDhhmmssX          X = S: summer time, W: normal time. The mark is the offset; no zone table is
//   needed, and
//                          the doubled hour in October is right by itself.
//   YYMMDDhhmmss           DSMR 3.0, local time without a mark
//   YY-MM-DD hh:mm:ss      lists of the DSMR 2.2 era, the same
namespace things {

/// What is needed to believe and convert a time.
/// Rules only for what the text leaves open; a mark of summer or winter is always believed.
struct MeterClockRules {
    int standard_offset_minutes = 60;     ///< of normal time to UTC: 60 for NL, BE, LU, SE
    std::optional<std::int64_t> now = {}; ///< Unix seconds of a clock that can be trusted, if there is one
    static constexpr std::int64_t max_ahead = 86400; ///< a time later than now by more is not valid
    static constexpr int min_year = 2005;            ///< factory clocks start at 1970 or 2000
};

/// `text` is kept even of a time that is not valid, to be shown.
struct MeterTime {
    std::string text;                         ///< as printed, the list form made YYMMDDhhmmss
    std::optional<std::int64_t> unix_seconds; ///< nothing: not valid (not set, no date, implausible)
    [[nodiscard]] bool is_valid() const { return unix_seconds.has_value(); }
};

/// Nothing if the text has not the form of a time stamp at all.
/// Without a mark the summer time of the European Union is assumed, last Sunday of March to last Sunday of
/// October, 01:00 UTC; the doubled hour then counts as normal time. Not valid: a date that does not exist,
/// years before 2005 and from 2060 on, more than a day later than `now`.
[[nodiscard]] std::optional<MeterTime> parse_meter_time(std::string_view text, const MeterClockRules& rules);

} // namespace things
