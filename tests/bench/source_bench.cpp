// SPDX-License-Identifier: Apache-2.0
#include "platform/clock.hpp"
#include "polling/plugin_library.hpp"
#include "polling/source.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

// What a source costs here and in a process of its own: source_bench SOURCES POINTS INTERVAL_MS SECONDS
// none|process HOST PLUGIN. Prints one line. The plugin is `simulated`, so the cost is the gateway's own.

namespace {

using namespace things;

class Counter final : public SourceListener {
public:
    void on_readings(std::vector<PointReading> readings) override { count += readings.size(); }
    void on_event(SourceEvent /*event*/) override { ++events; }
    std::atomic<std::uint64_t> count{0}, events{0};
};

long proc_kib(const std::string& pid, const char* key) {
    std::ifstream status("/proc/" + pid + "/smaps_rollup");
    std::string word;
    long value = 0;
    while (status >> word)
        if (word == key)
            status >> value;
    return value;
}

/// What all host processes have used together.
struct Hosts {
    double cpu_seconds = 0;
    long proportional_kib = 0, private_kib = 0;
};

Hosts hosts() {
    Hosts all;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream children(task.path() / "children");
        for (std::string pid; children >> pid;) {
            std::ifstream statistics("/proc/" + pid + "/schedstat"); // of its only thread, nanoseconds first
            double nanoseconds = 0;
            statistics >> nanoseconds;
            all.cpu_seconds += nanoseconds / 1e9;
            all.proportional_kib += proc_kib(pid, "Pss:");
            all.private_kib += proc_kib(pid, "Private_Dirty:");
        }
    }
    return all;
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

SourceWork make_work(int number, int points, int interval_ms, bool isolated) {
    SourceWork work;
    work.config.name = "s" + std::to_string(number);
    work.config.plugin = "simulated";
    work.config.isolation = isolated ? Isolation::process : Isolation::none;
    work.devices.push_back({"d" + std::to_string(number), {}});
    for (int i = 0; i < points; ++i) {
        SourcePoint point;
        point.config.name = "p" + std::to_string(i);
        point.config.interval = Milliseconds(interval_ms);
        work.points.push_back(std::move(point));
    }
    return work;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 8) {
        std::fprintf(stderr, "source_bench SOURCES POINTS INTERVAL_MS SECONDS none|process HOST PLUGIN\n");
        return 64;
    }
    int numbers[4] = {};
    for (int i = 0; i < 4; ++i)
        std::from_chars(argv[i + 1], argv[i + 1] + std::strlen(argv[i + 1]), numbers[i]);
    const bool isolated = std::strcmp(argv[5], "process") == 0;
    SourceOptions options;
    options.host_executable = argv[6];
    const SystemClock clock;
    Counter counter;
    const auto library = PluginLibrary::load(argv[7], true);
    const long before = proc_kib("self", "Pss:");
    std::vector<std::unique_ptr<Source>> sources;
    for (int i = 0; i < numbers[0]; ++i) {
        sources.push_back(
            make_source(make_work(i, numbers[1], numbers[2], isolated), library, clock, counter, options));
        sources.back()->start();
    }
    std::this_thread::sleep_for(std::chrono::seconds(3)); // start-up is not what is measured
    const std::uint64_t first = counter.count;
    const double cpu = cpu_seconds(), hosts_cpu = hosts().cpu_seconds;
    std::this_thread::sleep_for(std::chrono::seconds(numbers[3]));
    const auto readings = static_cast<double>(counter.count - first);
    const double used = cpu_seconds() - cpu;
    const Hosts there = hosts();
    const long memory = proc_kib("self", "Pss:") - before;
    std::uint64_t missed = 0;
    for (const auto& source : sources)
        missed += source->status().missed;
    for (const auto& source : sources)
        source->stop();
    for (const auto& source : sources)
        (void)source->join(seconds(10));
    const auto each = [count = numbers[0]](long kib) {
        return static_cast<double>(kib) / count;
    };
    std::printf(
        "%d sources x %d points, %d ms, %s: %.0f readings/s; CPU a reading: %.1f us here, %.1f us in host "
        "processes; memory a source: %.0f KiB here, %.0f KiB in its host process (%.0f KiB of it written "
        "to); missed beats %llu\n",
        numbers[0], numbers[1], numbers[2], argv[5], readings / numbers[3],
        used * 1e6 / std::max(1.0, readings), (there.cpu_seconds - hosts_cpu) * 1e6 / std::max(1.0, readings),
        each(memory), each(there.proportional_kib), each(there.private_kib),
        static_cast<unsigned long long>(missed));
    return 0;
}
