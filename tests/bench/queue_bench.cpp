// SPDX-License-Identifier: Apache-2.0
#include "queue/queue.hpp"

#include "platform/log.hpp"
#include "support/queue_rig.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

// Measures the queue by itself: flat out, flash bytes per reading in the three ways of running, a day's
// outage of 100 devices, start with a large backlog. Prints one line each; the machine's other load matters,
// so CPU times are the process's own.
namespace {

using namespace things;

double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

long high_water_kib() {
    std::ifstream in("/proc/self/status");
    std::string word;
    long value = 0;
    while (in >> word)
        if (word == "VmHWM:")
            in >> value;
    return value;
}

struct BenchRig : QueueRig {
    std::vector<SeriesId> series;
    std::uint64_t count = 0;
    BenchRig(int devices, int points, int commit_s = 10) {
        options.config.commit_interval = std::chrono::seconds(commit_s);
        open();
        for (int d = 0; d < devices; ++d)
            for (int p = 0; p < points; ++p)
                series.push_back(queue->series(queue->device(fmt::format("device-{}", d)),
                                               fmt::format("point-{}", p), "Cel"));
    }
    /// One reading of every series, as a poll gives them.
    void poll() {
        for (const SeriesId s : series) {
            const double value = 15 + static_cast<double>((count * 7919 + s * 104729) % 1000) / 100;
            queue->append({s, {clock.wall, Stamp::Clock::wall}, value});
            ++count;
        }
    }
    void tick(std::int64_t ms) {
        clock.advance(ms);
        queue->tick();
        loop.restart();
        loop.poll();
    }
    /// Lets a commit in progress end, as it would in real time.
    void settle_commit() {
        const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(300);
        while (std::chrono::steady_clock::now() < until) {
            loop.restart();
            loop.poll();
        }
    }
    std::uint64_t send(DeviceId device, Lane lane, std::size_t most) {
        const Batch b = take(device, lane, most);
        accept(b);
        return b.readings.size();
    }
};

void flat_out(std::size_t pack) {
    BenchRig rig(20, 10);
    const double before = cpu_seconds();
    for (int second = 0; second < 20; ++second) {
        for (int i = 0; i < 500; ++i) {
            rig.poll();
            for (DeviceId d = 0; d < 20; ++d)
                while (rig.queue->waiting(d).live >= pack)
                    rig.send(d, Lane::live, pack);
            rig.clock.advance(2);
        }
        rig.tick(0);
    }
    const double used = cpu_seconds() - before;
    const QueueStatus s = rig.queue->status();
    fmt::print("flat out, {:4} a pack: {:.2f} M readings/s of CPU time, {:.3f} us each; {} commits, {:.1f} "
               "B/reading to flash\n",
               pack, static_cast<double>(rig.count) / used / 1e6, used / static_cast<double>(rig.count) * 1e6,
               s.commits, static_cast<double>(s.bytes_written) / static_cast<double>(rig.count));
}

/// `devices` x 10 points, each polled every `every_ms`; packs leave after `age_ms` (0: never).
void flash_bytes(const char* what, int devices, std::int64_t every_ms, std::int64_t age_ms, int commit_s) {
    BenchRig rig(devices, 10, commit_s);
    const std::int64_t minutes = 20;
    std::int64_t next_poll = 0;
    const std::uint64_t bytes_before = rig.queue->status().bytes_written;
    for (std::int64_t ms = 0; ms < minutes * 60'000; ms += 100) {
        if (ms >= next_poll) {
            rig.poll();
            next_poll += every_ms;
        }
        rig.tick(100);
        if (age_ms > 0 && ms % 500 == 0)
            for (DeviceId d = 0; d < static_cast<DeviceId>(devices); ++d)
                if (const Waiting w = rig.queue->waiting(d);
                    w.live + w.backlog > 0 && (w.backlog > 0 || rig.clock.boot - w.live_since_ms >= age_ms))
                    rig.send(d, w.backlog > 0 ? Lane::backlog : Lane::live, 500);
        if (ms % 1000 == 0) // a second is long for a commit; the bench is faster
            rig.settle_commit();
    }
    rig.commit();
    const QueueStatus s = rig.queue->status();
    const auto n = static_cast<double>(rig.count);
    fmt::print("{}: {:.1f} B/reading to flash ({:.0f} readings/s, {} commits, {} syncs, {:.0f} MB/day)\n",
               what, static_cast<double>(s.bytes_written - bytes_before) / n,
               n / (static_cast<double>(minutes) * 60), s.commits, s.syncs,
               static_cast<double>(s.bytes_written - bytes_before) * 24 * 60 / static_cast<double>(minutes) /
                   1e6);
}

void outage(int hours) {
    BenchRig rig(100, 10);
    const double before = cpu_seconds();
    for (int i = 0; i < hours * 360; ++i) {
        rig.poll();
        rig.tick(10'000);
        if (i % 10 == 0)
            rig.run_until([&rig] { return rig.queue->status().commits > 0; });
    }
    rig.commit();
    const double filled = cpu_seconds();
    const QueueStatus s = rig.queue->status();
    fmt::print("outage of {} h, 100 devices x 10 points at 10 s: {} readings queued, {:.2f} us CPU each, "
               "{:.1f} B/reading "
               "written, {:.1f} MB file, {:.1f} MB in memory, peak RSS {} MB\n",
               hours, s.queued, (filled - before) / static_cast<double>(rig.count) * 1e6,
               static_cast<double>(s.bytes_written) / static_cast<double>(rig.count),
               static_cast<double>(s.file_used) / 1e6, static_cast<double>(s.memory) / 1e6,
               high_water_kib() / 1024);
    // Start with all that queued.
    rig.close();
    std::filesystem::remove_all(rig.options.config.hot_path);
    const auto start = std::chrono::steady_clock::now();
    rig.open();
    const auto ready = std::chrono::steady_clock::now();
    (void)rig.take(0, Lane::backlog, 1);
    const auto first = std::chrono::steady_clock::now();
    fmt::print("start with {} readings queued: open {:.1f} ms, first reading after {:.1f} ms\n", s.queued,
               std::chrono::duration<double, std::milli>(ready - start).count(),
               std::chrono::duration<double, std::milli>(first - start).count());
    const double draining = cpu_seconds();
    std::uint64_t sent = 0;
    for (bool any = true; any;) {
        any = false;
        for (DeviceId d = 0; d < 100; ++d) {
            const std::uint64_t n = rig.send(d, Lane::backlog, 500);
            sent += n;
            any = any || n > 0;
        }
        rig.tick(1000);
    }
    const double used = cpu_seconds() - draining;
    fmt::print("drain: {} readings in packs of 500, {:.2f} M/s of CPU time, {:.0f} packs/s, peak RSS {} MB\n",
               sent, static_cast<double>(sent) / used / 1e6, static_cast<double>(sent) / 500 / used,
               high_water_kib() / 1024);
}

} // namespace

int main(int argc, char** argv) {
    const int hours = argc > 1 ? std::stoi(argv[1]) : 24;
    setlinebuf(stdout);
    things::log::set_level(things::log::Level::error);
    for (const std::size_t pack : {10, 100, 1000})
        flat_out(pack);
    flash_bytes("defaults (max_age 60 s, 10 s commits)", 5, 1000, 60'000, 10);
    flash_bytes("packs within the interval (max_age 5 s)", 5, 1000, 5'000, 10);
    flash_bytes("offline, 10 s commits", 5, 1000, 0, 10);
    flash_bytes("offline, 1 s commits, 500/s", 50, 1000, 0, 1);
    outage(hours);
    return 0;
}
