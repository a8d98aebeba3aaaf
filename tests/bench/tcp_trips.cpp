// SPDX-License-Identifier: Apache-2.0
#include "bench/tcp_trips.hpp"

#include "support/fake_plugin_host.hpp"
#include "support/tcp_device.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <modbus/modbus.h>
#include <sched.h>
#include <thread>
#include <vector>

// What is counted are requests that the server answered, not what a client believes. A round trip over one
// connection is bound by the waking of two threads, and that by where they run: on one core a thread wakes
// the other without a sleeping core in between. So client and server are pinned, to one core and to two;
// figures of unpinned threads jump between the two and mean nothing. libmodbus reads registers into an array;
// ours plans, reads, decodes with a scale and emits readings with the text of their raw words.
namespace things {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds lap{1500};
constexpr int laps = 5;

double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void pin(unsigned core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core % std::max(1U, std::thread::hardware_concurrency()), &set);
    sched_setaffinity(0, sizeof set, &set);
}

/// One connection; read() is one round trip and false if it failed.
class Client {
public:
    virtual ~Client() = default;
    virtual bool read() = 0;
};

class Ours final : public Client {
public:
    Ours(int port, int registers) {
        FakeConfig config;
        config.source.set("host", "127.0.0.1").set("tcp_port", port);
        config.devices.push_back({"plc", FakeSettings().set("gap", 0)});
        for (int i = 0; i < registers; ++i) {
            config.points.push_back({0, "p", FakeSettings().set("holding", i).set("scale", 0.1)});
            points_.push_back(static_cast<std::uint32_t>(i));
        }
        host_.keep = false;
        source_ = std::make_unique<FakeSource>(*things_plugin_entry(), host_, config);
    }
    bool read() override {
        const std::uint64_t before = host_.readings;
        return source_->poll(points_) == THINGS_OK && host_.readings == before + points_.size();
    }

private:
    FakePluginHost host_;
    std::unique_ptr<FakeSource> source_;
    std::vector<std::uint32_t> points_;
};

class Theirs final : public Client {
public:
    Theirs(int port, int registers) : context_(modbus_new_tcp("127.0.0.1", port)), words_(registers) {
        modbus_set_slave(context_, 1);
        modbus_connect(context_);
    }
    ~Theirs() override {
        modbus_close(context_);
        modbus_free(context_);
    }
    Theirs(const Theirs&) = delete;
    Theirs& operator=(const Theirs&) = delete;
    bool read() override {
        const int count = static_cast<int>(words_.size());
        return modbus_read_registers(context_, 0, count, words_.data()) == count;
    }

private:
    modbus_t* context_;
    std::vector<std::uint16_t> words_;
};

struct Setting {
    int connections, registers;
    unsigned server_core, client_core;
    const char* name;
};

struct Lap {
    double trips = 0;  ///< a second
    double cpu_us = 0; ///< of the clients, a trip
    double median_us = 0, p99_us = 0;
};

std::unique_ptr<Client> make_client(bool ours, int port, int registers) {
    if (ours)
        return std::make_unique<Ours>(port, registers);
    return std::make_unique<Theirs>(port, registers);
}

struct Work {
    double cpu = 0;
    std::vector<double> times_us;
    bool failed = false;
};

void read_on(Client& client, unsigned core, const std::atomic<bool>& over, Work& work) {
    pin(core);
    work.times_us.reserve(500000);
    const double cpu = cpu_seconds();
    while (!over) {
        const auto begin = Clock::now();
        work.failed = !client.read() || work.failed;
        work.times_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    work.cpu = cpu_seconds() - cpu;
}

Lap run_lap(TcpDevice& device, const Setting& setting, bool ours) {
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<Work> works(static_cast<std::size_t>(setting.connections));
    for (int i = 0; i < setting.connections; ++i) {
        clients.push_back(make_client(ours, device.port(), setting.registers));
        static_cast<void>(clients.back()->read());
    }
    std::atomic<bool> over{false};
    const std::uint64_t before = device.units.counts().at(1);
    const auto begin = Clock::now();
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < clients.size(); ++i) // many clients on both cores
        threads.emplace_back(read_on, std::ref(*clients[i]), setting.client_core + static_cast<unsigned>(i),
                             std::cref(over), std::ref(works[i]));
    std::this_thread::sleep_for(lap);
    over = true;
    for (std::thread& thread : threads)
        thread.join();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const auto trips = static_cast<double>(device.units.counts().at(1) - before);
    Lap result{trips / seconds};
    std::vector<double> times;
    for (Work& work : works) {
        result.cpu_us += work.cpu * 1e6 / trips;
        times.insert(times.end(), work.times_us.begin(), work.times_us.end());
        if (work.failed)
            std::printf("tcp: a read failed\n");
    }
    if (times.size() != static_cast<std::size_t>(trips))
        std::printf("tcp: %zu reads, %.0f answers\n", times.size(), trips);
    std::sort(times.begin(), times.end());
    result.median_us = times[times.size() / 2];
    result.p99_us = times[times.size() * 99 / 100];
    return result;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void run_setting(const Setting& setting) {
    pin(setting.server_core); // what a thread starts inherits it
    TcpDevice device;
    std::array<std::vector<double>, 2> trips, cpu, middle, late;
    std::vector<double> ratios;
    for (int i = 0; i < laps; ++i) {
        for (const bool ours : {false, true}) {
            const Lap result = run_lap(device, setting, ours);
            trips[ours].push_back(result.trips);
            cpu[ours].push_back(result.cpu_us);
            middle[ours].push_back(result.median_us);
            late[ours].push_back(result.p99_us);
        }
        ratios.push_back(trips[1].back() / trips[0].back());
    }
    for (const bool ours : {false, true})
        std::printf("tcp: %s, %d registers, %-9s %6.0f round trips/s, p50 %.1f us, p99 %.1f us, CPU %.2f us "
                    "a round trip\n",
                    setting.name, setting.registers, ours ? "ours" : "libmodbus", median(trips[ours]),
                    median(middle[ours]), median(late[ours]), median(cpu[ours]));
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf("tcp: %s, %d registers: %.2f of libmodbus' round trips (%.2f to %.2f in %d laps)\n",
                setting.name, setting.registers, median(ratios), *least, *most, laps);
}

} // namespace

void bench_tcp() {
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    for (const int registers : {10, 125}) {
        run_setting({1, registers, 0, 1, "1 connection, a core for each side"});
        run_setting({1, registers, 0, 0, "1 connection, both sides on one core"});
        run_setting({32, registers, 0, 0, "32 connections and threads on both cores"});
    }
    sched_setaffinity(0, sizeof before, &before);
}

} // namespace things
