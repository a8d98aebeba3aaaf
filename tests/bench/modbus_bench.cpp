// SPDX-License-Identifier: Apache-2.0
#include "bench/tcp_trips.hpp"
#include "modbus/link_cost.hpp"
#include "support/fake_plugin_host.hpp"
#include "support/rtu_line/rtu_line.hpp"
#include "support/rtu_line/wire.hpp"
#include "support/tcp_device.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

// modbus-bench [rtu] [peer] [tcp] [fleet] [dead]: figures of the bus engine, one line each; without arguments
// all.
//   rtu    measured cycle against the wire bound T(n) of the same requests, at three speeds
//   peer   the same against a server that we did not write, python3-pymodbus, behind a wire with byte timing
//   tcp    round trips a second beside libmodbus, CPU time a round trip
//   fleet  1000 TCP devices with 10 points at 1 s, without and with 100 dead ones
//   dead   what healthy units on a serial line keep beside 1 and 16 dead ones of 32
namespace {

using namespace things;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void bench_rtu() {
    std::printf("rtu: baud, registers a request, bound ms, median ms, median ratio, best, worst, "
                "silence violations\n");
    for (const unsigned baud : {9600U, 19200U, 115200U})
        for (const unsigned count : {1U, 10U, 32U, 125U}) {
            constexpr double turnaround_us = 5000;
            constexpr unsigned requests = 4;
            RtuLine line(RtuLine::Timing::of(baud, 10, turnaround_us));
            FakeConfig config;
            config.source.set("port", line.path()).set("baud", static_cast<int>(baud));
            config.devices.push_back({"meter", FakeSettings().set("gap", 0)});
            for (unsigned r = 0; r < requests; ++r)
                for (unsigned i = 0; i < count; ++i)
                    config.points.push_back(
                        {0, "p", FakeSettings().set("holding", static_cast<int>(200 * r + i))});
            FakePluginHost host;
            host.keep = false;
            FakeSource source(*things_plugin_entry(), host, config);
            static_cast<void>(source.poll_all());
            const int rounds = std::max(7, static_cast<int>(baud / 1000));
            std::vector<double> laps;
            for (int i = 0; i < rounds; ++i) {
                const auto begin = Clock::now();
                static_cast<void>(source.poll_all());
                laps.push_back(seconds_since(begin) * 1000);
            }
            std::sort(laps.begin(), laps.end());
            const double measured = laps[laps.size() / 2], least = laps.front();
            const LineSettings frame{static_cast<int>(baud), 8, LineParity::none, 1};
            const double bound =
                requests *
                ((8 + 5 + 2 * count) * 1000 * character_ms(frame) + 2 * silence_us(frame) + turnaround_us) /
                1000;
            std::printf("rtu: %6u %4u %9.2f %9.2f  %.4f  %.4f  %.4f  %d\n", baud, count, bound, measured,
                        measured / bound, least / bound, laps.back() / bound, line.silence_violations());
        }
}

// peers_test.py --serve serial PATH BAUD, ended with this object.
class Peer {
public:
    Peer(const std::string& path, unsigned baud) : pid_(fork()) {
        if (pid_ != 0)
            return;
        const std::string speed = std::to_string(baud);
        execl("/usr/bin/python3", "python3", THINGS_PEERS, "--serve", "serial", path.c_str(), speed.c_str(),
              nullptr);
        _exit(127);
    }
    ~Peer() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

private:
    pid_t pid_;
};

void bench_peer() {
    std::printf(
        "peer: baud, registers a request, its own turnaround ms, bound ms, median ms, median ratio, best, "
        "worst\n");
    for (const unsigned baud : {9600U, 19200U, 115200U}) {
        const LineSettings frame{static_cast<int>(baud), 8, LineParity::none, 1};
        Wire wire(1000 * character_ms(frame));
        const Peer peer(wire.far_path(), baud);
        for (const unsigned count : {1U, 10U, 32U, 125U}) {
            FakeConfig config;
            config.source.set("port", wire.near_path()).set("baud", static_cast<int>(baud));
            config.devices.push_back({"meter", FakeSettings().set("gap", 0).set("backoff_max", 0)});
            for (unsigned i = 0; i < count; ++i)
                config.points.push_back({0, "p", FakeSettings().set("holding", static_cast<int>(i))});
            FakePluginHost host;
            host.keep = false;
            FakeSource source(*things_plugin_entry(), host, config);
            while (host.readings == 0)
                static_cast<void>(source.poll_all());
            std::vector<double> ratios, laps;
            double turnaround = 0, bound = 0;
            for (unsigned i = 0; i < std::max(20U, baud / 1000); ++i) {
                const double turned = wire.turnaround_us();
                const auto begin = Clock::now();
                static_cast<void>(source.poll_all());
                laps.push_back(seconds_since(begin) * 1000);
                turnaround = (wire.turnaround_us() - turned) / 1000;
                // its own silence before it answers is part of its turnaround
                bound = ((8 + 5 + 2 * count) * 1000 * character_ms(frame) + silence_us(frame)) / 1000 +
                        turnaround;
                ratios.push_back(laps.back() / bound);
            }
            std::sort(laps.begin(), laps.end());
            std::sort(ratios.begin(), ratios.end());
            std::printf("peer: %6u %4u %6.2f %9.2f %9.2f  %.4f  %.4f  %.4f\n", baud, count, turnaround, bound,
                        laps[laps.size() / 2], ratios[ratios.size() / 2], ratios.front(), ratios.back());
        }
    }
}

long resident_kib() {
    std::ifstream statm("/proc/self/statm");
    long pages = 0, resident = 0;
    statm >> pages >> resident;
    return resident * sysconf(_SC_PAGESIZE) / 1024;
}

struct Fleet {
    std::vector<std::unique_ptr<FakePluginHost>> hosts;
    std::vector<std::unique_ptr<FakeSource>> sources;
    std::vector<double> cpu, lateness;
    std::vector<int> missed;
};

// One device: a beat each second on its own phase, as the gateway's source threads keep it.
void keep_beat(Fleet& fleet, std::size_t index, Clock::time_point start, int beats) {
    const auto phase = start + std::chrono::microseconds(index * 1000);
    for (int beat = 0; beat < beats; ++beat) {
        const auto due = phase + std::chrono::seconds(beat);
        std::this_thread::sleep_until(due);
        fleet.lateness[index] = std::max(fleet.lateness[index], seconds_since(due));
        const std::uint64_t before = fleet.hosts[index]->readings;
        static_cast<void>(fleet.sources[index]->poll_all());
        fleet.missed[index] += fleet.hosts[index]->readings == before || seconds_since(due) > 1 ? 1 : 0;
    }
    fleet.cpu[index] = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
}

void bench_fleet(std::size_t dead) {
    constexpr std::size_t devices = 1000;
    constexpr int points = 10, beats = 10;
    rlimit files{8192, 8192};
    setrlimit(RLIMIT_NOFILE, &files);
    TcpDevice device, silent;
    silent.mute(true);
    const long before = resident_kib();
    Fleet fleet;
    fleet.cpu.resize(devices);
    fleet.lateness.resize(devices);
    fleet.missed.resize(devices);
    for (std::size_t i = 0; i < devices; ++i) {
        FakeConfig config;
        config.source.set("host", "127.0.0.1").set("tcp_port", i < dead ? silent.port() : device.port());
        config.devices.push_back({"plc", FakeSettings().set("gap", 0)});
        for (int p = 0; p < points; ++p)
            config.points.push_back({0, "p", FakeSettings().set("holding", p)});
        fleet.hosts.push_back(std::make_unique<FakePluginHost>());
        fleet.hosts.back()->keep = false;
        fleet.sources.push_back(
            std::make_unique<FakeSource>(*things_plugin_entry(), *fleet.hosts.back(), config));
    }
    const auto start = Clock::now() + std::chrono::seconds(1);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < devices; ++i)
        threads.emplace_back(keep_beat, std::ref(fleet), i, start, beats);
    std::this_thread::sleep_until(start + std::chrono::seconds(beats / 2));
    const long resident = resident_kib();
    for (std::thread& thread : threads)
        thread.join();
    std::uint64_t readings = 0;
    double cpu = 0;
    int missed = 0;
    for (std::size_t i = 0; i < devices; ++i) {
        readings += fleet.hosts[i]->readings;
        cpu += fleet.cpu[i];
        missed += i < dead ? 0 : fleet.missed[i];
    }
    std::vector<double> late(fleet.lateness.begin() + static_cast<std::ptrdiff_t>(dead),
                             fleet.lateness.end());
    std::sort(late.begin(), late.end());
    std::printf(
        "fleet: %zu devices, %zu dead: %llu readings in %d s, %d beats of live devices missed, CPU %.2f us a "
        "reading, %.1f KiB a device, worst start of a beat: median %.1f ms, max %.1f ms\n",
        devices, dead, static_cast<unsigned long long>(readings), beats, missed,
        cpu * 1e6 / static_cast<double>(readings), static_cast<double>(resident - before) / devices,
        late[late.size() / 2] * 1000, late.back() * 1000);
}

void bench_dead(int dead) {
    constexpr int units = 32;
    RtuLine line(RtuLine::Timing::of(115200, 10, 5000));
    FakeConfig config;
    config.source.set("port", line.path()).set("baud", 115200).set("timeout", 500);
    std::vector<std::uint32_t> all, healthy;
    for (int unit = 1; unit <= units; ++unit) {
        const auto device = static_cast<std::uint32_t>(config.devices.size());
        config.devices.push_back({"unit", FakeSettings().set("unit_id", unit).set("gap", 0)});
        if (unit > dead)
            line.units.add(static_cast<std::uint8_t>(unit));
        for (int i = 0; i < 10; ++i) {
            all.push_back(static_cast<std::uint32_t>(config.points.size()));
            if (unit > dead)
                healthy.push_back(all.back());
            config.points.push_back({device, "p", FakeSettings().set("holding", i)});
        }
    }
    line.units.on_request([dead](const UnitRequest& r) {
        return UnitFault{r.unit <= dead ? UnitFault::Kind::silent : UnitFault::Kind::none};
    });
    FakePluginHost host;
    host.keep = false;
    FakeSource source(*things_plugin_entry(), host, config);
    const auto rounds = [&source](const std::vector<std::uint32_t>& points, double duration) {
        const auto begin = Clock::now();
        int count = 0;
        for (; seconds_since(begin) < duration; ++count)
            static_cast<void>(source.poll(points));
        return count / seconds_since(begin);
    };
    const double first = rounds(all, 10); // finds out who is dead
    const double alone = rounds(healthy, 5);
    const double beside = rounds(all, 30);
    std::printf("dead: %d of %d units dead: healthy units polled %.2f /s without them, %.2f /s beside them "
                "(%.1f %%); "
                "%.2f /s in the first 10 s\n",
                dead, units, alone, beside, 100 * beside / alone, first);
}

} // namespace

int main(int argc, char** argv) {
    const auto wanted = [argc, argv](const char* name) {
        return argc < 2 || std::any_of(argv + 1, argv + argc,
                                       [name](const char* a) { return std::strcmp(a, name) == 0; });
    };
    if (wanted("rtu"))
        bench_rtu();
    if (wanted("peer"))
        bench_peer();
    if (wanted("tcp"))
        bench_tcp();
    if (wanted("fleet")) {
        bench_fleet(0);
        bench_fleet(100);
    }
    if (wanted("dead")) {
        bench_dead(1);
        bench_dead(16);
    }
    return 0;
}
