// SPDX-License-Identifier: Apache-2.0
#include "support/source_fixture.hpp"
#include "sysinfo/measure.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

namespace things {

namespace fs = std::filesystem;

namespace {

/// A machine made of files.
class FakeRoot {
public:
    FakeRoot() {
        std::string path = (fs::temp_directory_path() / "sysinfo-XXXXXX").string();
        REQUIRE(mkdtemp(path.data()) != nullptr);
        path_ = path;
        put("proc/loadavg", "0.52 1.04 2.08 1/234 5678\n");
        put("proc/uptime", "3661.25 7000.00\n");
        put("proc/stat", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1 1 1\n");
        put("proc/meminfo",
            "MemTotal:         1000 kB\nMemFree:           100 kB\nMemAvailable:      250 kB\n"
            "SwapTotal:         500 kB\nSwapFree:          400 kB\n");
        put("proc/sys/kernel/osrelease", "6.6.31+rpt-rpi-v7\n");
        put("proc/sys/kernel/hostname", "site-12\n");
        put("sys/class/thermal/thermal_zone0/temp", "48312\n");
        put("sys/class/net/eth0/operstate", "up\n");
        put("sys/class/net/eth0/statistics/rx_bytes", "18446744073709551615\n");
        put("sys/class/net/eth0/statistics/tx_bytes", "42\n");
        put("sys/class/net/eth0/statistics/rx_errors", "3\n");
        put("sys/class/net/eth0/statistics/tx_errors", "4\n");
        put("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
        put("var/lib/kpn-things-gateway/queue.db", std::string(1000, 'x'));
        put("var/lib/kpn-things-gateway/queue.db-wal", std::string(500, 'x'));
    }
    ~FakeRoot() { fs::remove_all(path_); }
    FakeRoot(const FakeRoot&) = delete;
    FakeRoot& operator=(const FakeRoot&) = delete;
    void put(const std::string& file, const std::string& content) const {
        fs::create_directories((path_ / file).parent_path());
        std::ofstream(path_ / file) << content;
    }
    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

} // namespace

TEST_CASE("everything is read from the kernel's files") {
    const FakeRoot root;
    Machine machine(root.path());
    std::string why;
    const auto is = [&machine, &why](const char* what, Measure expected) {
        const auto value = machine.measure(what, why);
        INFO(what << ": " << why);
        return value && *value == expected;
    };
    CHECK(is("load1", 0.52));
    CHECK(is("load5", 1.04));
    CHECK(is("load15", 2.08));
    CHECK(is("uptime", 3661.25));
    CHECK(is("cpu_temperature", 48.312));
    CHECK(is("memory_total", std::uint64_t{1'024'000}));
    CHECK(is("memory_available", std::uint64_t{256'000}));
    CHECK(is("memory_used", 75.0));
    CHECK(is("swap_used", std::uint64_t{102'400}));
    CHECK(is("net_received:eth0", std::uint64_t{18446744073709551615U}));
    CHECK(is("net_sent:eth0", std::uint64_t{42}));
    CHECK(is("net_errors:eth0", std::uint64_t{7}));
    CHECK(is("net_up:eth0", true));
    CHECK(is("undervoltage", true));
    CHECK(is("undervoltage_seen", true));
    CHECK(is("throttled", true));
    CHECK(is("throttled_flags", std::uint64_t{0x50005}));
    CHECK(is("queue_size", std::uint64_t{1500}));
    CHECK(is("kernel", std::string("6.6.31+rpt-rpi-v7")));
    CHECK(is("hostname", std::string("site-12")));
    root.put("sys/devices/platform/soc/soc:firmware/get_throttled", "0x10000");
    CHECK(is("undervoltage", false));
    CHECK(is("undervoltage_seen", true));
    CHECK(is("throttled", false));
}

TEST_CASE("the processor's load is that since the last reading") {
    const FakeRoot root;
    Machine machine(root.path());
    std::string why;
    CHECK(std::get<double>(*machine.measure("cpu_load", why)) == doctest::Approx(20.0));
    CHECK_FALSE(machine.measure("cpu_load", why).has_value()); // no time has passed
    root.put("proc/stat", "cpu  150 0 125 715 110 0 0 0 0 0\n");
    CHECK(std::get<double>(*machine.measure("cpu_load", why)) == doctest::Approx(75.0));
}

TEST_CASE("a disk is measured as df has it") {
    Machine machine("/");
    std::string why;
    const auto total = machine.measure("disk_total", why), free = machine.measure("disk_free:/", why),
               used = machine.measure("disk_used:/tmp", why);
    REQUIRE((total && free && used));
    CHECK(std::get<std::uint64_t>(*free) <= std::get<std::uint64_t>(*total));
    CHECK(std::get<double>(*used) >= 0);
    CHECK(std::get<double>(*used) <= 100);
}

TEST_CASE("what the machine does not have is said, not made up") {
    const FakeRoot root;
    Machine machine(root.path());
    for (const char* what :
         {"net_sent:eth9", "net_sent", "net_sent:../../etc", "disk_free:/nowhere", "queue_size:/nowhere"}) {
        CAPTURE(what);
        std::string why;
        CHECK_FALSE(machine.measure(what, why).has_value());
        CHECK_FALSE(why.empty());
    }
    for (const char* garbage : {"", "\n", "hello", "-", "nan", "inf", "9z", "1.2.3"}) {
        CAPTURE(garbage);
        for (const char* file :
             {"proc/uptime", "proc/loadavg", "proc/stat", "proc/meminfo",
              "sys/class/thermal/thermal_zone0/temp", "sys/devices/platform/soc/soc:firmware/get_throttled"})
            root.put(file, garbage);
        std::string why;
        for (const char* what :
             {"uptime", "load15", "cpu_load", "memory_used", "cpu_temperature", "undervoltage"})
            CHECK_FALSE(machine.measure(what, why).has_value());
    }
}

TEST_CASE("the gateway itself is a device") {
    const FakeRoot root;
    const SystemClock clock;
    test::Ear ear;
    SourceWork work = test::make_work("sysinfo", 2, Milliseconds(50));
    work.config.settings = {test::make_setting("root", root.path().string())};
    work.points[0].config.name = "cpu_temperature";
    work.points[1].config.settings = {test::make_setting("value", std::string("net_sent:eth9"))};
    const auto library = PluginLibrary::load(test::plugin_file("sysinfo"), true);
    CHECK(validate(work, *library).problems.empty());
    auto source = make_source(work, library, clock, ear);
    source->start();
    REQUIRE(ear.wait([&] { return ear.of(0).size() >= 2 && !ear.events().empty(); }));
    CHECK(ear.of(0)[0].value == Value(48.312));
    CHECK(ear.events()[0].index == 1);
    root.put("sys/class/net/eth9/statistics/tx_bytes", "1");
    CHECK(ear.wait([&] { return !ear.of(1).empty(); }));
    work.points[0].config.name = "cpu_temprature";
    const Validation validation = validate(work, *library);
    REQUIRE(validation.problems.size() == 1);
    CHECK(validation.problems[0].key == "value");
}

} // namespace things
