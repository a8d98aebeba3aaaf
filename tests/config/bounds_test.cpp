// SPDX-License-Identifier: Apache-2.0
#include "support/config_files.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <functional>

// What a file that is refused costs: the gateway that reads it at a reload has 256 MiB for everything.

using namespace things;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_checked = true; // what is freed is kept for a while
#else
constexpr bool is_checked = false;
#endif

long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmHWM:", 0) == 0)
            return std::stol(line.substr(6));
    return 0;
}

struct Cost {
    long mib = 0;
    double seconds = 0;
    std::string problem; ///< the first one
};

/// 5 sets the peak back to what is in use now; the file is written before.
Cost cost_of(const std::function<void(std::ofstream&)>& write) {
    ConfigFiles files;
    const std::filesystem::path file = files.write("gateway.yaml", "");
    {
        std::ofstream stream(file, std::ios::binary);
        write(stream);
    }
    std::ofstream("/proc/self/clear_refs") << 5;
    const long before = peak_kib();
    const auto begin = std::chrono::steady_clock::now();
    const Loaded loaded = load(file, files.options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    CHECK_FALSE(loaded.config);
    const std::string all = files.problems(loaded);
    return {(peak_kib() - before) / 1024, took.count(), all.substr(0, all.find('\n'))};
}

std::function<void(std::ofstream&)> repeat(const std::string& head, const std::string& part, int times) {
    return [head, part, times](std::ofstream& stream) {
        stream << head;
        for (int i = 0; i < times; ++i)
            stream << part;
    };
}

} // namespace

TEST_CASE("four megabytes of brackets, dashes or documents cost little memory and no time") {
    constexpr int mega = 1 << 20;
    const std::string deep = "nested deeper than 32 levels; no configuration needs that";
    const std::string many =
        "more than 40000 brackets ([ or {) in one file; spread them over several files with "
        "`include`, or list the devices in a CSV file";
    struct Case {
        std::string head, part;
        int times;
        std::string problem;
    };
    for (const Case& c : {Case{"a: ", "[", 4 * mega, "gateway.yaml:1:35: error: " + deep},
                          Case{"a: ", "{", 4 * mega, "gateway.yaml:1:35: error: " + deep},
                          Case{"a: ", "[{", 2 * mega, "gateway.yaml:1:35: error: " + deep},
                          Case{"a: ", "{a: ", mega, "gateway.yaml:1:128: error: " + deep},
                          Case{"a: ", "[\n", 2 * mega, "gateway.yaml:32:1: error: " + deep},
                          Case{"a: [", "[],", mega, "gateway.yaml:1:1: error: " + many},
                          Case{"a: [x, \"", "[", 4 * mega, "gateway.yaml:1:1: error: " + many},
                          Case{"#", "[", 4 * mega, "gateway.yaml:1:1: error: " + many},
                          Case{"", "- ", 2 * mega, "gateway.yaml:1:65: error: " + deep},
                          Case{"", "? ", 2 * mega, "gateway.yaml:1:65: error: " + deep}}) {
        CAPTURE(c.head + c.part);
        const Cost cost = cost_of(repeat(c.head, c.part, c.times));
        CHECK(cost.problem == c.problem);
        CHECK(cost.mib <= 32);
        CHECK(cost.seconds < 1);
    }
}

TEST_CASE("no wide file costs what a small machine has not") {
    for (const auto& [head, part] :
         {std::pair{"a: [", "1,"}, std::pair{"a:\n", "- 1\n"}, std::pair{"a:\n", "- &a 1\n"},
          std::pair{"a:\n", "- !t 1\n"}, std::pair{"", "---\n"}, std::pair{"a: ", "k"},
          std::pair{"", "%TAG ! a\n"}}) {
        CAPTURE(part);
        const Cost cost = cost_of(
            repeat(head, part, static_cast<int>((std::size_t{8} << 20) / std::string(part).size()) - 8));
        CHECK(cost.mib <= (is_checked ? 4 * 96 : 96));
        CHECK(cost.seconds < 5);
    }
}

TEST_CASE("the bounds hold for all files together") {
    ConfigFiles files;
    std::string list = "profiles:\n  p:\n    plugin: modbus\n    quirks:\n";
    for (int i = 0; i < 200'000; ++i)
        list += "    - a\n";
    for (const char* name : {"1.yaml", "2.yaml", "3.yaml"})
        files.write(name, list);
    CHECK(
        files.problems(files.load("include: [1.yaml, 2.yaml, 3.yaml]\n"))
            .find(
                "3.yaml:99976:7: error: more than 500000 values in all files together; list devices in a CSV "
                "file and their points in profiles, or run a second gateway\n") != std::string::npos);
}

TEST_CASE("a table has at most 200 columns, and is refused for more at once") {
    ConfigFiles files;
    std::string header = "name,dvnuuid";
    for (int i = 0; i < 200'000; ++i)
        header += fmt::format(",c{}", i);
    files.write("fleet.csv", header + "\n");
    const auto begin = std::chrono::steady_clock::now();
    CHECK(files.problems(files.load("devices: {csv: fleet.csv}\n")) ==
          "fleet.csv:1:1: error: 200002 columns; a table of devices has at most 200. Is this the right "
          "file?\n");
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a device of many points takes no square of their number") {
    ConfigFiles files;
    std::string yaml = device_head + "    points:\n";
    for (int i = 0; i < 60'000; ++i)
        yaml += fmt::format("    - name: p{}\n      holding: {}\n", i, i);
    const auto begin = std::chrono::steady_clock::now();
    const Loaded loaded = files.load(yaml);
    REQUIRE_MESSAGE(loaded.config, files.problems(loaded));
    CHECK(loaded.config->devices[0].points.size() == 60'000);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}
