// SPDX-License-Identifier: Apache-2.0
#include "config/summary.hpp"

#include <algorithm>
#include <cmath>

// How the estimate is made. Every point is taken to report each value it reads (with `aggregate` one a
// window), and every poll to succeed; `report: {on_change}` and dead devices make it less.
//  - Uploads: a pack leaves when its oldest reading is batch.max_age old, so one leaves every
//    (floor(max_age / shortest interval) + 1) shortest intervals, or more often when max_records or max_bytes
//    fill it first; never more often than things.min_interval, never more rarely than things.downlink_poll.
//  - Bytes: SenML as written (name, unit, 8 characters of value, 6 of time a record; 95 of base fields a
//  pack), and
//    750 bytes a post for headers, TLS records and acknowledgements both ways; 4500 more for a new connection
//    where posts of the whole gateway are more than a minute apart on average.
//  - Flash: 8 KiB a commit (write-ahead log, journal of the file system, checkpoint) and 30 bytes a reading.
//  Nothing
//    where packs leave before the next commit, as readings then stay in memory; `status` shows what is
//    written.
namespace things {

namespace {

constexpr double day_ms = 86'400'000, days_a_month = 30;
constexpr double post_bytes = 750, connection_bytes = 4500, base_bytes = 95;
constexpr double commit_bytes = 8192, flash_reading_bytes = 30;
constexpr double keep_alive_posts_a_day = 1440;

double reporting_interval(const PointConfig& point) {
    const double interval = static_cast<double>(point.interval.count());
    if (point.report.aggregate == Aggregate::none)
        return interval;
    return std::max(interval, static_cast<double>(point.report.window.count()));
}

double record_bytes(const PointConfig& point) {
    const std::size_t unit = point.unit.empty() ? 0 : point.unit.size() + 7;
    return static_cast<double>(point.name.size() + unit) + 8 + 5 + 8 + 10; // {"n":"",  "v": value "t":-12.5},
}

double uploads_a_day(const Config& config, double shortest, double readings, double bytes) {
    const double max_age = static_cast<double>(config.batch.max_age.count());
    const double period = (std::floor(max_age / shortest) + 1) * shortest;
    const double by_age = day_ms / period;
    const double by_records = readings / config.batch.max_records;
    const double by_bytes = bytes / static_cast<double>(config.batch.max_bytes);
    double uploads = std::max({by_age, by_records, by_bytes});
    if (const auto poll = static_cast<double>(config.things.downlink_poll.count()); poll > 0)
        uploads = std::max(uploads, day_ms / poll);
    if (const auto least = static_cast<double>(config.things.min_interval.count()); least > 0)
        uploads = std::min(uploads, day_ms / least);
    return std::min(uploads, std::max(readings, config.things.downlink_poll.count() > 0 ? uploads : 0));
}

DeviceTraffic device_traffic(const Config& config, const DeviceConfig& device) {
    DeviceTraffic traffic;
    traffic.device = device.name;
    traffic.points = device.points.size();
    double shortest = day_ms * 365, bytes = 0;
    for (const PointConfig& point : device.points) {
        const double interval = std::max(1.0, reporting_interval(point));
        shortest = std::min(shortest, interval);
        traffic.readings_per_day += day_ms / interval;
        bytes += day_ms / interval * record_bytes(point);
    }
    if (device.points.empty())
        return traffic;
    traffic.uploads_per_day = uploads_a_day(config, shortest, traffic.readings_per_day, bytes);
    traffic.bytes_per_month = days_a_month * (bytes + traffic.uploads_per_day * (base_bytes + post_bytes));
    return traffic;
}

} // namespace

Traffic estimate_traffic(const Config& config) {
    Traffic traffic;
    for (const DeviceConfig& device : config.devices) {
        traffic.devices.push_back(device_traffic(config, device));
        traffic.readings_per_day += traffic.devices.back().readings_per_day;
        traffic.uploads_per_day += traffic.devices.back().uploads_per_day;
    }
    const bool reconnects = traffic.uploads_per_day < keep_alive_posts_a_day;
    for (DeviceTraffic& device : traffic.devices) {
        if (reconnects)
            device.bytes_per_month += days_a_month * device.uploads_per_day * connection_bytes;
        traffic.bytes_per_month += device.bytes_per_month;
    }
    const double commits = std::min(traffic.readings_per_day,
                                    day_ms / static_cast<double>(config.queue.commit_interval.count()));
    traffic.flash_per_day_outage = commits * commit_bytes + traffic.readings_per_day * flash_reading_bytes;
    const bool stays_in_memory = config.batch.max_age < config.queue.commit_interval;
    traffic.flash_per_day_online = stays_in_memory ? 0 : traffic.flash_per_day_outage;
    return traffic;
}

} // namespace things
