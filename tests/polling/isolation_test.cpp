// SPDX-License-Identifier: Apache-2.0
#include "plugins/link/pty.hpp"
#include "polling/landlock.hpp"
#include "polling/source.hpp"
#include "support/skip.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace things {

using namespace test;
using std::chrono::milliseconds;

namespace {

/// A healthy source beside the bad one: 20 beats a second. Its largest gap is what the bad one did to it.
class Neighbour {
public:
    Neighbour() {
        source_ = make_source(make_work("simulated", 1, milliseconds(50)),
                              PluginLibrary::load(plugin_file("simulated"), true), clock_, ear_);
        source_->start();
        REQUIRE(ear_.wait([this] { return ear_.of(0).size() >= 3; }));
    }
    [[nodiscard]] std::int64_t largest_gap() {
        const auto readings = ear_.of(0);
        std::int64_t largest = 0;
        for (std::size_t i = 2; i < readings.size(); ++i)
            largest = std::max(largest, readings[i].stamp.ms - readings[i - 1].stamp.ms);
        return largest;
    }
    [[nodiscard]] std::uint64_t missed() const { return source_->status().missed; }

private:
    SystemClock clock_;
    Ear ear_;
    std::unique_ptr<Source> source_;
};

/// A source of one bad plugin in a host process.
class Bad {
public:
    explicit Bad(const std::string& plugin, const std::string& in = "poll",
                 SourceOptions options = quick_options()) {
        SourceWork work = make_work(plugin, 2, milliseconds(100));
        work.config.isolation = Isolation::process;
        work.config.settings.push_back(make_setting("in", in));
        // The file alone: a library that crashes while it is loaded must not be loaded here.
        source_ = make_source(std::move(work), PluginLibrary::probe(bad_plugin_file(plugin), options), clock_,
                              ear, options);
        source_->start();
    }
    Source& operator*() { return *source_; }
    Source* operator->() { return source_.get(); }

    Ear ear;

private:
    SystemClock clock_;
    std::unique_ptr<Source> source_;
};

/// A socket in which nobody takes calls; connecting to it works all the same.
int listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 8) == 0);
    return fd;
}

std::string text_of(Ear& ear, const std::string& code) {
    for (const SourceEvent& event : ear.events())
        if (event.code == code)
            return event.text;
    return {};
}

} // namespace

TEST_CASE("a plugin in a process of its own reads, writes and discovers as it does here") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("simulated", 3, milliseconds(50));
    work.config.isolation = Isolation::process;
    auto source =
        make_source(work, PluginLibrary::load(plugin_file("simulated"), true), clock, ear, quick_options());
    source->start();
    CHECK(ear.wait([&] { return ear.of(2).size() >= 5; }));
    CHECK(write_now(*source, 0, Value(21.5)).value == Value(21.5));
    CHECK(read_now(*source, 0).value == Value(21.5));
    CHECK(write_now(*source, 1, Value(std::string("caf\xc3\xa9"))).value ==
          Value(std::string("caf\xc3\xa9")));
    CHECK(source->status().state == "running");
    source->stop();
    CHECK(source->join(seconds(5)));
}

TEST_CASE("a crash costs its source a second, is told in plain words, and loses nothing that was emitted") {
    struct Case {
        const char *plugin, *words;
    };
    for (const auto& [plugin, words] : {Case{"segfaults", "SIGSEGV"}, Case{"aborts", "SIGABRT"},
                                        Case{"overflows_stack", "SIGSEGV"}, Case{"exits", "exit code 3"}}) {
        CAPTURE(plugin);
        Neighbour neighbour;
        Bad bad(plugin);
        // Twice: the process came back.
        CHECK(bad.ear.wait([&] { return bad->status().restarts >= 2; }));
        const std::string told = text_of(bad.ear, "died");
        CAPTURE(told);
        CHECK((told.find(words) != std::string::npos ||
               (has_sanitizer && told.find("exit code") != std::string::npos)));
        CHECK(bad.ear.of(0).size() >= 2); // emitted right before the crash, in each life
        CHECK(neighbour.largest_gap() < 500);
    }
}

TEST_CASE("last words are part of the message") {
    Bad bad("aborts");
    CHECK(bad.ear.wait([&] { return bad.ear.heard("died"); }));
    CHECK(text_of(bad.ear, "died").find("the moon is full") != std::string::npos);
}

TEST_CASE("a call that does not come back is ended, whatever it does") {
    for (const char* plugin : {"hangs", "sleeps", "deadlocks", "stops_itself"}) {
        CAPTURE(plugin);
        Neighbour neighbour;
        Bad bad(plugin);
        CHECK(bad.ear.wait([&] { return bad->status().restarts >= 1; }));
        const std::string told = text_of(bad.ear, "died"); // a sanitizer may end it first, in its own way
        CAPTURE(told);
        CHECK((has_sanitizer || told.find("deadline") != std::string::npos));
        CHECK(neighbour.largest_gap() < 500);
        bad->stop();
        CHECK(bad->join(seconds(3)));
    }
}

TEST_CASE("a plugin that says how long it takes is not taken for one that hangs, and learns of the clock") {
    for (const Isolation isolation : {Isolation::none, Isolation::process}) {
        CAPTURE(static_cast<int>(isolation));
        const SystemClock clock;
        Ear ear;
        std::atomic<bool> is_trusted{true};
        SourceOptions options = quick_options(); // 500 ms for a call, 500 ms for being late
        options.is_clock_trusted = [&is_trusted] {
            return is_trusted.load();
        };
        SourceWork work = make_work("takes_its_time", 1, seconds(3600));
        work.config.isolation = isolation;
        work.config.settings = {make_setting("in", std::string("all"))};
        auto source = make_source(work, PluginLibrary::load(bad_plugin_file("takes_its_time"), false), clock,
                                  ear, options);
        source->start();
        CHECK(read_now(*source, 0).value == Value(true));
        is_trusted = false;
        CHECK(read_now(*source, 0).value == Value(false));
        source->check();
        for (const SourceEvent& event : ear.events())
            CHECK(event.code == "files"); // a wall that this kernel lacks
        CHECK(source->status().restarts == 0);
    }
}

TEST_CASE("a hang in any call is ended, and what was asked is answered") {
    for (const char* in : {"create", "write", "destroy", "discover"}) {
        CAPTURE(in);
        Bad bad("sleeps", in);
        const std::string call = in;
        if (call == "create") {
            CHECK(bad.ear.wait([&] { return bad->status().restarts >= 1; }));
        } else {
            REQUIRE(bad.ear.wait([&] { return bad.ear.of(0).size() >= 2; }));
            if (call == "write") {
                const BusResult result = write_now(*bad, 0, Value(1.0));
                CHECK(result.status == BusResult::Status::timeout);
                CHECK(result.text.find("not known") != std::string::npos);
            }
        }
        bad->stop();
        CHECK(bad->join(seconds(5)));
    }
}

TEST_CASE("after three deaths within ten minutes a plugin waits longer") {
    Bad bad("segfaults", "create");
    CHECK(bad.ear.wait([&] { return bad->status().restarts >= 3; }));
    CHECK(bad.ear.wait([&] {
        for (const SourceEvent& event : bad.ear.events())
            if (event.text.find("three times") != std::string::npos)
                return true;
        return bad->status().state.find("restarting in") != std::string::npos;
    }));
    CHECK_FALSE(bad->status().healthy);
    CHECK(read_now(*bad, 0).status == BusResult::Status::failed);
}

TEST_CASE("a leak ends at its limit") {
    if (has_sanitizer)
        return skipped("a sanitizer needs more memory than any limit would allow");
    SourceOptions options = quick_options();
    options.host_memory = std::int64_t{96} * 1024 * 1024;
    Neighbour neighbour;
    Bad bad("leaks", "poll", options);
    CHECK(bad.ear.wait([&] { return bad->status().restarts >= 1; }));
    CHECK(bad.ear.of(0).size() >= 5);
    CHECK(neighbour.largest_gap() < 500);
}

TEST_CASE("descriptors leaked, closed or written to are the plugin's own") {
    for (const char* plugin : {"leaks_descriptors", "closes_descriptors"}) {
        CAPTURE(plugin);
        Neighbour neighbour;
        Bad bad(plugin);
        CHECK(bad.ear.wait([&] { return bad->status().restarts >= 1; }));
        CHECK(neighbour.largest_gap() < 500);
    }
    Bad bad("writes_stdout");
    CHECK(bad.ear.wait([&] { return bad.ear.of(0).size() >= 20; }));
    CHECK(bad.ear.heard("stderr"));
    CHECK(bad.ear.events().size() <= 12);
    CHECK(bad->status().restarts == 0);
}

TEST_CASE("a flood costs the one who makes it") {
    Neighbour neighbour;
    Bad bad("floods");
    CHECK(bad.ear.wait([&] { return bad->status().restarts >= 1; }));
    CHECK(bad.ear.readings().size() < 20'000);
    CHECK(neighbour.largest_gap() < 500);
}

TEST_CASE("garbage is refused, the good readings beside it are kept") {
    Neighbour neighbour;
    Bad bad("garbage");
    CHECK(bad.ear.wait([&] { return bad.ear.of(1).size() >= 20; }));
    for (const PointReading& reading : bad.ear.readings())
        CHECK(std::holds_alternative<std::int64_t>(reading.value));
    CHECK(bad.ear.heard("garbage"));
    CHECK(bad.ear.events().size() <= 12);
    CHECK(bad->status().restarts == 0);
}

namespace {

/// What a plugin that snoops could reach, by what it tried.
std::map<std::string, bool> snoop(const std::vector<std::string>& attempts, Isolation isolation,
                                  const std::string& host, Ear& ear) {
    const SystemClock clock;
    SourceOptions options = quick_options();
    options.host_executable += host;
    SourceWork work = make_work("snoops", static_cast<std::uint32_t>(attempts.size()), milliseconds(50));
    for (std::size_t i = 0; i < attempts.size(); ++i)
        work.points[i].config.settings = {make_setting("reach", attempts[i])};
    work.config.isolation = isolation;
    auto source =
        make_source(work, PluginLibrary::load(bad_plugin_file("snoops"), true), clock, ear, options);
    source->start();
    const auto last = static_cast<std::uint32_t>(attempts.size() - 1);
    REQUIRE(ear.wait([&] { return !ear.of(last).empty(); }));
    std::map<std::string, bool> reached;
    for (std::uint32_t i = 0; i <= last; ++i)
        reached[attempts[i]] = ear.of(i)[0].value == Value(std::int64_t{1});
    return reached;
}

long kernel_landlock() {
    const long version = ::syscall(444, nullptr, 0, 1);
    return version < 0 ? 0 : version;
}

} // namespace

TEST_CASE("a plugin in a process of its own reaches its source, and nothing else of the gateway's") {
    // Not in TempDir, which is below /dev.
    const auto folder = std::filesystem::temp_directory_path() / ("things-snoop-" + std::to_string(getpid()));
    std::filesystem::create_directory(folder);
    const std::string secret = folder / "secret", socket = folder / "control.sock";
    std::ofstream(secret) << "shared secret";
    const int listener = listen_at(socket);
    Pty own, foreign; // the port that its settings name, and another source's
    setenv("CREDENTIALS_DIRECTORY", "/tmp", 1);
    const std::vector<std::string> by_files = {"@" + secret, "@" + folder.string(), "@" + foreign.path(),
                                               "memory"};
    const std::vector<std::string> by_calls = {
        "@" + socket, "limits",   "scheduler", "priority",       "affinity",
        "keys",       "io_uring", "session",   "mode " + secret, "truncate " + secret};
    std::vector<std::string> attempts = {own.path(), "environment", "descriptors", "signal"};
    attempts.insert(attempts.end(), by_files.begin(), by_files.end());
    attempts.insert(attempts.end(), by_calls.begin(), by_calls.end());
    const long landlock = kernel_landlock();

    Ear ear, open_ear, old_ear, here_ear;
    auto reached = snoop(attempts, Isolation::process, "", ear);
    CHECK(reached[own.path()]);
    CHECK_FALSE(reached["environment"]);
    CHECK_FALSE(reached["descriptors"]);
    CHECK_FALSE(reached["signal"]);
    for (const std::string& attempt : by_calls) {
        CAPTURE(attempt);
        CHECK_FALSE(reached[attempt]);
    }
    for (const std::string& attempt : by_files) {
        CAPTURE(attempt);
        if (reached[attempt] || attempt != "memory" ||
            landlock >= 1)                             // the kernel may guard that all the same
            CHECK(reached[attempt] == (landlock < 1)); // a wall that is missing is told
    }
    CHECK(ear.heard("files") == (landlock < 1));
    CHECK_FALSE(ear.heard("calls"));
    CHECK_FALSE(ear.heard("signals"));

    // As on the kernel of Debian 12, whose Landlock knows no signals.
    reached = snoop(attempts, Isolation::process, "-old", old_ear);
    CHECK_FALSE(reached["signal"]);
    CHECK_FALSE(reached["limits"]);
    CHECK_FALSE(reached["truncate " + secret]);

    // Without the walls, and in the gateway's process: the attempts are real.
    for (const Isolation isolation : {Isolation::process, Isolation::none}) {
        Ear& heard = isolation == Isolation::none ? here_ear : open_ear;
        reached = snoop(attempts, isolation, "-open", heard);
        for (const std::string& attempt : attempts) {
            CAPTURE(attempt);
            const bool by_process = attempt == "environment" || attempt == "descriptors";
            // Which a container may forbid as a whole.
            bool is_optional = attempt == "io_uring" || attempt == "keys" || attempt == "memory";
            // The kernel itself guards a gateway that has capabilities against one that has none.
            if (isolation == Isolation::process && ::geteuid() == 0)
                is_optional |= attempt == "scheduler" || attempt == "priority" || attempt == "affinity";
            if (reached[attempt] || !is_optional)
                CHECK(reached[attempt] == !(by_process && isolation == Isolation::process));
        }
        CHECK(heard.heard("files") == (isolation == Isolation::process));
        CHECK(heard.heard("calls") == (isolation == Isolation::process));
    }
    if (landlock < 1)
        skipped("files: there is no Landlock here");
    ::close(listener);
    std::filesystem::remove_all(folder);
    unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_CASE("what an older kernel leaves open is said in words") {
    CHECK(missing_walls(0, false).find("no Landlock") != std::string::npos);
    CHECK(missing_walls(2, true).find("version 2, and signals are shut away from version 6") !=
          std::string::npos);
    CHECK(missing_walls(2, false).empty()); // the filter of calls has no signals for it
    CHECK(missing_walls(6, true).empty());
}

TEST_CASE("a plugin that turns its wake descriptor against the gateway holds up nobody") {
    Neighbour neighbour;
    Bad bad("fills_wake");
    REQUIRE(bad.ear.wait([&] { return bad.ear.of(0).size() >= 2; }));
    // Each of these wakes the source from another thread, which must not be made to wait.
    std::promise<void> done;
    std::thread caller([&] {
        for (int i = 0; i < 20; ++i)
            (void)read_now(*bad, 0);
        bad->stop();
        done.set_value();
    });
    CHECK(done.get_future().wait_for(seconds(20)) == std::future_status::ready);
    caller.join();
    CHECK(bad->join(seconds(5)));
    CHECK(neighbour.largest_gap() < 500);
}

TEST_CASE("a plugin that dies while its settings are checked is no mistake of the configuration") {
    for (const auto& [plugin, words] :
         {std::pair("segfaults", has_sanitizer ? "exit code" : "SIGSEGV"), std::pair("sleeps", "deadline")}) {
        CAPTURE(plugin);
        SourceWork work = make_work(plugin, 1, milliseconds(100));
        work.config.isolation = Isolation::process;
        work.config.settings.push_back(make_setting("in", std::string("create")));
        const auto library = PluginLibrary::probe(bad_plugin_file(plugin), quick_options());
        const Validation validation = validate(work, *library, quick_options());
        CHECK(validation.problems.empty());
        CHECK(validation.failure.find(words) != std::string::npos);
    }
}

TEST_CASE("what a plugin says from threads of its own is ignored") {
    Bad bad("spawns_threads");
    CHECK(bad.ear.wait([&] { return bad.ear.of(0).size() >= 20; }));
    for (const PointReading& reading : bad.ear.readings())
        CHECK(reading.value != Value(std::int64_t{-1}));
}

} // namespace things
