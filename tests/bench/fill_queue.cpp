// SPDX-License-Identifier: Apache-2.0
#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstring>

// fill_queue FILE HOT_DIRECTORY DEVICES POINTS INTERVAL_MS COUNT: what an outage leaves behind, made by the
// daemon's own queue code with a clock that runs as fast as it can. COUNT polls of DEVICES x POINTS end now;
// each device's identity and each point's name are those of the bench's configuration (site.py). Ends with
// everything on flash and in the hot log, as a machine that lost its power: prints how many readings and
// bytes.
namespace {

using namespace things;

std::int64_t number(const char* text) {
    std::int64_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

std::int64_t now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<Milliseconds>(now).count();
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr, "fill_queue FILE HOT_DIRECTORY DEVICES POINTS INTERVAL_MS COUNT\n");
        return 64;
    }
    log::set_level(log::Level::error);
    const std::int64_t devices = number(argv[3]), points = number(argv[4]), interval = number(argv[5]),
                       count = number(argv[6]);
    QueueRig rig;
    rig.options.config.path = argv[1];
    rig.options.config.hot_path = argv[2];
    rig.clock.wall = now_ms() - interval * count;
    rig.options.floor_ms = rig.clock.wall - 1;
    rig.open();
    std::vector<SeriesId> series;
    for (std::int64_t d = 1; d <= devices; ++d) {
        const DeviceId device = rig.queue->device(fmt::format("00000000-0000-4000-8000-{:012x}", d));
        for (std::int64_t p = 0; p < points; ++p)
            series.push_back(rig.queue->series(device, fmt::format("p{}", p), "Cel"));
    }
    for (std::int64_t poll = 0; poll < count; ++poll) {
        for (const SeriesId s : series) {
            // A value that wanders like a temperature, another way for each point.
            const std::int64_t value = 150 + (poll * 7 + s * 13) % 90;
            rig.queue->append({s, {rig.clock.wall, Stamp::Clock::wall}, static_cast<double>(value) / 10});
        }
        rig.clock.advance(interval);
        rig.queue->tick();
        const std::uint64_t commits = rig.queue->status().commits;
        rig.loop.restart();
        rig.loop.poll();
        if (poll % 10 == 9) // flash is given the time that it would have had
            rig.run_until([&rig, commits] { return rig.queue->status().commits >= commits; });
    }
    rig.commit();
    const QueueStatus status = rig.queue->status();
    fmt::print("{} readings, {} bytes of file, {} bytes written, {} commits\n", status.queued,
               status.file_size, status.bytes_written, status.commits);
    return status.queued == static_cast<std::uint64_t>(devices * points * count) ? 0 : 1;
}
