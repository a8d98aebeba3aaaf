// SPDX-License-Identifier: Apache-2.0
#include "config/summary.hpp"

#include <algorithm>
#include <cmath>

// How the estimate is made. Every point is taken to report each value it reads (with `aggregate` one a
// window), and every poll to succeed; `report: {on_change}` and dead devices make it less. The constants were
// measured on the daemon (tests/scenario/traffic_scenario.py holds them) and on ext4 on a loop device.
//  - Uploads: a pack leaves when its oldest reading is batch.max_age old and the next one begins with the
//  next
//    reading. Where max_age is a multiple of the shortest interval that reading comes at the same moment, and
//    is in time for the pack every other time. More often when max_records or max_bytes fill a pack first;
//    never more often than things.min_interval, never more rarely than things.downlink_poll.
//  - Bytes, as a mobile contract counts them: SenML as written (name, unit, 6 characters of value, 5 of time
//  a
//    record; 95 of base fields a pack), 6 % for TCP, IP and acknowledgements of long bodies, 600 a post for
//    headers, TLS records and the answer; 4500 more for a new connection where posts of the whole gateway are
//    more than a minute apart on average.
//  - Flash: what the card sees. 8.6 kB a commit (two database pages, the blocks they lie in, the journal of
//    the file system), and 20 bytes for each reading that a commit finds unsent. A commit needs something
//    new: readings, or the news that some were accepted.
namespace things {

namespace {

constexpr double day_ms = 86'400'000, days_a_month = 30;
constexpr double post_bytes = 600, connection_bytes = 4500, base_bytes = 95, segment_share = 1.06;
constexpr double commit_bytes = 8600, flash_reading_bytes = 20;
constexpr double keep_alive_posts_a_day = 1440;

double reporting_interval(const PointConfig& point) {
    const double interval = static_cast<double>(point.interval.count());
    if (point.report.aggregate == Aggregate::none)
        return interval;
    return std::max(interval, static_cast<double>(point.report.window.count()));
}

double record_bytes(const PointConfig& point) {
    const std::size_t unit = point.unit.empty() ? 0 : point.unit.size() + 7;
    return static_cast<double>(point.name.size() + unit) + 7 + 5 + 6 + 5 + 5 +
           2; // {"n":"","v":230.15,"t":-12.5},
}

/// Milliseconds between two packs of a device that leave because of their age.
double pack_period(const Config& config, double shortest) {
    const double max_age = static_cast<double>(config.batch.max_age.count());
    const double beats = std::floor(max_age / shortest);
    const bool coincides = beats > 0 && beats * shortest == max_age;
    return (beats + (coincides ? 0.5 : 1.0)) * shortest;
}

double uploads_a_day(const Config& config, double shortest, double readings, double bytes) {
    const double by_age = day_ms / pack_period(config, shortest);
    const double by_records = readings / config.batch.max_records;
    const double by_bytes = bytes / static_cast<double>(config.batch.max_bytes);
    double uploads = std::max({by_age, by_records, by_bytes});
    if (const auto poll = static_cast<double>(config.things.downlink_poll.count()); poll > 0)
        uploads = std::max(uploads, day_ms / poll);
    if (const auto least = static_cast<double>(config.things.min_interval.count()); least > 0)
        uploads = std::min(uploads, day_ms / least);
    return std::min(uploads, std::max(readings, config.things.downlink_poll.count() > 0 ? uploads : 0));
}

/// What one device adds to the commits: beats are moments at which it has new readings.
struct FlashPart {
    double beats_per_day = 0;
    double unsent_readings_per_day = 0; ///< readings that a commit finds before they were accepted
    double idle = 1;            ///< chance that nothing of the device waits for flash at a given moment
    double reasons_per_day = 0; ///< moments that give a commit something to do while the platform is in reach
};

FlashPart flash_part(const Config& config, const DeviceTraffic& traffic, double shortest) {
    const double commit = static_cast<double>(config.queue.commit_interval.count());
    const double period = day_ms / std::max(traffic.uploads_per_day, 1e-9);
    const double waits = std::min(period, static_cast<double>(config.batch.max_age.count()));
    if (waits <= commit) // accepted before a commit would take them: flash hears of none
        return {day_ms / shortest, 0, 1, 0};
    return {day_ms / shortest, traffic.readings_per_day * (1 - commit / (2 * waits)), 1 - waits / period,
            day_ms / shortest + traffic.uploads_per_day};
}

DeviceTraffic device_traffic(const Config& config, const DeviceConfig& device, FlashPart& flash) {
    DeviceTraffic traffic;
    traffic.device = device.name;
    traffic.points = device.points.size();
    double shortest = day_ms * 365, bytes = 0;
    for (const PointConfig& point : device.points) {
        if (point.write_only)
            continue;
        const double interval = std::max(1.0, reporting_interval(point));
        shortest = std::min(shortest, interval);
        traffic.readings_per_day += day_ms / interval;
        bytes += day_ms / interval * record_bytes(point);
    }
    if (traffic.readings_per_day == 0)
        return traffic;
    traffic.uploads_per_day = uploads_a_day(config, shortest, traffic.readings_per_day, bytes);
    traffic.bytes_per_month =
        days_a_month * (bytes * segment_share + traffic.uploads_per_day * (base_bytes + post_bytes));
    flash = flash_part(config, traffic, shortest);
    return traffic;
}

} // namespace

Traffic estimate_traffic(const Config& config) {
    Traffic traffic;
    FlashPart flash;
    for (const DeviceConfig& device : config.devices) {
        FlashPart part;
        traffic.devices.push_back(device_traffic(config, device, part));
        flash.beats_per_day += part.beats_per_day;
        flash.unsent_readings_per_day += part.unsent_readings_per_day;
        flash.idle *= part.idle;
        flash.reasons_per_day += part.reasons_per_day;
        traffic.readings_per_day += traffic.devices.back().readings_per_day;
        traffic.uploads_per_day += traffic.devices.back().uploads_per_day;
    }
    const bool reconnects = traffic.uploads_per_day < keep_alive_posts_a_day;
    for (DeviceTraffic& device : traffic.devices) {
        if (reconnects)
            device.bytes_per_month += days_a_month * device.uploads_per_day * connection_bytes;
        traffic.bytes_per_month += device.bytes_per_month;
    }
    const double commits = day_ms / static_cast<double>(config.queue.commit_interval.count());
    traffic.flash_per_day_outage = std::min(commits, flash.beats_per_day) * commit_bytes +
                                   traffic.readings_per_day * flash_reading_bytes;
    const double online = std::min(commits * (1 - flash.idle), flash.reasons_per_day);
    traffic.flash_per_day_online =
        online * commit_bytes + flash.unsent_readings_per_day * flash_reading_bytes;
    return traffic;
}

} // namespace things
