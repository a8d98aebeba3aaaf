// SPDX-License-Identifier: Apache-2.0
#include "p1/meter_time.hpp"

#include <algorithm>
#include <chrono>

namespace things {

namespace {

using std::chrono::day;
using std::chrono::last;
using std::chrono::month;
using std::chrono::Sunday;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year;
using std::chrono::year_month_day;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// "26-01-14 08:00:00" to "260114080000"; anything else as it is.
std::string without_separators(std::string_view text) {
    constexpr std::string_view form = "dd-dd-dd dd:dd:dd";
    if (text.size() != form.size())
        return std::string(text);
    std::string digits;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (form[i] == 'd' ? !is_digit(text[i]) : text[i] != form[i])
            return std::string(text);
        if (form[i] == 'd')
            digits += text[i];
    }
    return digits;
}

/// European rule: summer time from the last Sunday of March, 01:00 UTC, to the last Sunday of October, 01:00
/// UTC. In the doubled hour the second one is taken (normal time).
bool is_summer(sys_seconds standard_as_utc) {
    year y = year_month_day(std::chrono::floor<std::chrono::days>(standard_as_utc)).year();
    auto change = [y](unsigned m) {
        return sys_days(y / month(m) / Sunday[last]) + std::chrono::hours(1);
    };
    return standard_as_utc >= change(3) && standard_as_utc < change(10);
}

/// Local time without offset, if it is a calendar date.
std::optional<sys_seconds> to_local(const std::string& digits) {
    auto pair = [&digits](std::size_t i) {
        return (digits[i] - '0') * 10 + (digits[i + 1] - '0');
    };
    year_month_day date(year(2000 + pair(0)), month(static_cast<unsigned>(pair(2))),
                        day(static_cast<unsigned>(pair(4))));
    if (!date.ok() || pair(6) > 23 || pair(8) > 59 || pair(10) > 59)
        return std::nullopt;
    return sys_days(date) + std::chrono::hours(pair(6)) + std::chrono::minutes(pair(8)) +
           std::chrono::seconds(pair(10));
}

} // namespace

std::optional<MeterTime> parse_meter_time(std::string_view text, const MeterClockRules& rules) {
    MeterTime result{without_separators(text), std::nullopt};
    const std::string& plain = result.text;
    if (plain.size() < 12 || plain.size() > 13 || !std::all_of(plain.begin(), plain.begin() + 12, is_digit))
        return std::nullopt;
    char mark = plain.size() == 13 ? plain[12] : ' ';
    if (is_digit(mark))
        return std::nullopt; // a number, not a time
    std::optional<sys_seconds> local = to_local(plain);
    if (!local || (mark != 'S' && mark != 'W' && mark != ' '))
        return result;
    sys_seconds utc = *local - std::chrono::minutes(rules.standard_offset_minutes);
    // Without a mark the doubled hour counts as normal time: summer only if both ways to read it are.
    if (mark == 'S' || (mark == ' ' && is_summer(utc - std::chrono::hours(1)) && is_summer(utc)))
        utc -= std::chrono::hours(1);
    std::int64_t seconds = utc.time_since_epoch().count();
    bool is_old = (plain[0] - '0') * 10 + (plain[1] - '0') + 2000 < MeterClockRules::min_year;
    // 63 is the octet FF of "not specified", 70 the epoch of a clock that was never set.
    bool is_epoch = plain[0] >= '6';
    bool is_ahead = rules.now && seconds > *rules.now + MeterClockRules::max_ahead;
    if (!is_old && !is_epoch && !is_ahead)
        result.unix_seconds = seconds;
    return result;
}

} // namespace things
