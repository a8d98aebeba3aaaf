// SPDX-License-Identifier: Apache-2.0
#include "config/loader.hpp"
#include "config/summary.hpp"
#include "support/config_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

// Processor time that a fleet takes to check: 500 devices over 20 sources, three ways of writing them. Build
// with Release. config_bench [LIMIT_MS]: exits 1 if the slowest median is above the limit.

using namespace things;

namespace {

constexpr int sources = 20, devices = 500, points = 20;

std::string uuid(int i) {
    return fmt::format("6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e{:04x}", i);
}

std::string source_lines() {
    std::string yaml = "sources:\n";
    for (int i = 0; i < sources; ++i)
        yaml += fmt::format("  line{}: {{plugin: modbus, host: 192.0.2.{}, timeout: 500ms}}\n", i, i + 1);
    return yaml;
}

std::string points_in_line() {
    std::string yaml = source_lines() + "devices:\n";
    for (int i = 0; i < devices; ++i) {
        yaml += fmt::format(
            "  - name: device{0}\n    dvnuuid: {1}\n    secret: {{file: secrets/s{0}}}\n    source: line{2}\n"
            "    unit_id: {3}\n    points:\n",
            i, uuid(i), i % sources, i / sources + 1);
        for (int p = 0; p < points; ++p)
            yaml += fmt::format("      - {{name: value{0}, unit: W, holding: {1}, type: float32, scale: 0.1, "
                                "interval: 10s}}\n",
                                p, p * 2);
    }
    return yaml;
}

std::string fleet_table(const ConfigFiles& files) {
    std::string csv = "name,dvnuuid,secret_file,source,unit_id,profile\n";
    for (int i = 0; i < devices; ++i)
        csv += fmt::format("device{0},{1},secrets/s{0},line{2},{3},meter\n", i, uuid(i), i % sources,
                           i / sources + 1);
    files.write("fleet.csv", csv);
    std::string profile = "plugin: modbus\npoints:\n";
    for (int p = 0; p < points; ++p)
        profile += fmt::format("  - {{name: value{0}, unit: W, holding: {1}, type: float32, scale: 0.1}}\n",
                               p, p * 2);
    files.write("profiles/meter.yaml", profile);
    return source_lines() + "devices: {csv: fleet.csv}\n";
}

// Processor time of this thread: the machine may be busy with other things.
double cpu_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double median_ms(ConfigFiles& files, const std::string& name, const std::string& yaml) {
    const std::filesystem::path file = files.write("gateway.yaml", yaml);
    std::vector<double> times;
    for (int run = 0; run < 15; ++run) {
        const double begin = cpu_ms();
        const Loaded loaded = load(file, files.options);
        const std::size_t size = loaded.config ? summary_text(*loaded.config, {}).size() : 0;
        const double spent = cpu_ms() - begin;
        if (size == 0) {
            std::fputs(files.problems(loaded).substr(0, 1000).c_str(), stderr);
            std::exit(1); // NOLINT(concurrency-mt-unsafe)
        }
        times.push_back(spent);
    }
    std::sort(times.begin(), times.end());
    fmt::print("{:<24} {:6.1f} ms median, {:6.1f} ms best, {} kB of YAML\n", name, times[times.size() / 2],
               times[0], yaml.size() / 1000);
    return times[times.size() / 2];
}

} // namespace

int main(int argc, char** argv) {
    ConfigFiles files;
    for (int i = 0; i < devices; ++i)
        files.write(fmt::format("secrets/s{}", i), fmt::format("abcdefghijklmnopqrstuvwxyz{:04}", i));
    fmt::print("{} devices with {} points over {} sources\n", devices, points, sources);
    const double table = median_ms(files, "fleet as CSV, profile", fleet_table(files));
    const double in_line = median_ms(files, "every point in YAML", points_in_line());
    const double limit = argc > 1 ? std::atof(argv[1]) : 1e9;
    return std::max(table, in_line) <= limit ? 0 : 1;
}
