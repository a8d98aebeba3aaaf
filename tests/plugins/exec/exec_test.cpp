// SPDX-License-Identifier: Apache-2.0
#include "support/skip.hpp"
#include "support/source_fixture.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

namespace things {

using namespace test;
namespace fs = std::filesystem;

namespace {

/// A source that runs a shell script of the test's.
class Program {
public:
    explicit Program(const std::string& script, const std::string& mode = "talks", std::uint32_t points = 2,
                     Isolation isolation = Isolation::none) {
        SourceWork work = make_work("exec", points, Milliseconds(100));
        work.config.isolation = isolation;
        Setting command = make_setting("command", std::monostate());
        command.items = {std::string("/bin/sh"), std::string("-c"), script};
        work.config.settings = {command, make_setting("mode", mode)};
        Setting environment = make_setting("environment", std::monostate());
        environment.items = {std::string("GREETING"), std::string("hello there")};
        work.config.settings.push_back(environment);
        source_ = make_source(std::move(work), PluginLibrary::load(plugin_file("exec"), true), clock_, ear,
                              quick_options());
        source_->start();
    }
    Source* operator->() { return source_.get(); }
    Source& operator*() { return *source_; }
    void end() { source_.reset(); }
    [[nodiscard]] std::string text(const std::string& code) {
        for (const SourceEvent& event : ear.events())
            if (event.code == code)
                return event.text;
        return {};
    }

    Ear ear;

private:
    SystemClock clock_;
    std::unique_ptr<Source> source_;
};

bool is_alive(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string number, name, state;
    status >> number >> name >> state;
    return !state.empty() && state != "Z" && state != "X";
}

} // namespace

TEST_CASE("what a program prints becomes readings") {
    Program program(R"(echo '{"point":"p0","value":21.5,"time":1700000000}'
                       echo '{"values":{"p1":"on","unknown":3}}'
                       exec sleep 100)");
    REQUIRE(program.ear.wait([&] { return !program.ear.of(1).empty(); }));
    REQUIRE(program.ear.readings().size() == 2);
    CHECK(program.ear.readings()[0].value == Value(21.5));
    CHECK(program.ear.readings()[0].stamp == Stamp{1'700'000'000'000, Stamp::Clock::wall});
    CHECK(program.ear.readings()[1].value == Value(std::string("on")));
    // By hand one gets the last value, which is not queued again.
    const BusResult result = read_now(*program, 0);
    CHECK(result.status == BusResult::Status::ok);
    CHECK(result.value == Value(21.5));
    CHECK(program.ear.wait([&] { return program->status().polls > 5; }));
    for (std::size_t i = 2; i < program.ear.readings().size(); ++i)
        CHECK_FALSE(program.ear.readings()[i].report);
}

TEST_CASE("a program that is asked answers, and says done when it has no more") {
    Program program(R"(while read line; do
        case "$line" in
        '{"poll":'*) n=${line#*:}; n=${n%%,*}; echo '{"point":"p0","value":1}'; echo "{\"done\":$n}";;
        esac
    done)",
                    "asked");
    CHECK(program.ear.wait([&] { return program.ear.of(0).size() >= 5; }));
    CHECK(program.ear.of(1).empty());
    CHECK(read_now(*program, 0).value == Value(std::int64_t{1}));
}

TEST_CASE("a poll that fails is a problem until there is a reading again") {
    Program program(R"(while read line; do n=${line#*:}; n=${n%%,*}
        case $n in
        1) echo '{"failed":1,"text":"the probe is warming up"}';;
        *) echo '{"values":{"p0":1,"p1":1}}';;
        esac
    done)",
                    "asked");
    CHECK(program.ear.wait([&] { return program.ear.events().size() >= 2; }));
    CHECK(program.ear.events()[0].text == "the probe is warming up");
    CHECK(program.ear.events()[1].kind == SourceEvent::Kind::recovered);
}

TEST_CASE("whoever reads learns what the program printed in place of a value") {
    const std::pair<const char*, const char*> cases[] = {
        {"exec sleep 100", "has printed nothing in "},
        {R"(echo '{"point":"levl","value":1}'; exec sleep 100)",
         "prints `levl`, but what is wanted is `p0`, `p1`: give the point that name, or `field`"},
        {"echo 21.5 C; exec sleep 100", "none of them a reading; the last: 21.5 C (it is no JSON"},
        {"printf 21.5; exec sleep 100", "s, but no line end"},
        {"echo probe missing >&2; exec sleep 100", "its last words on standard error: probe missing"},
        {"echo No module named well >&2; exit 3",
         "ended with exit code 3; its last words on standard error: No module named well"},
    };
    for (const auto& [script, expected] : cases) {
        CAPTURE(script);
        Program program(script);
        const BusResult result = read_now(*program, 0);
        CAPTURE(result.text);
        CHECK(result.status != BusResult::Status::ok);
        CHECK(result.text.find(expected) != std::string::npos);
    }
}

TEST_CASE("whoever reads waits for the first output of a program") {
    Program program(R"(sleep 0.3; echo '{"point":"p0","value":7}'; exec sleep 100)");
    CHECK(read_now(*program, 0).value == Value(std::int64_t{7}));
}

TEST_CASE("a program that does not flush its output is heard all the same") {
    // Python by its switch, a program of C by way of its library; both would wait for 4 KiB otherwise.
    for (const char* script :
         {R"(exec python3 -c 'import time; print("""{"point":"p0","value":7}"""); time.sleep(100)')",
          R"((echo '{"point":"p0","value":7}'; sleep 100) | tr 7 7)"}) {
        CAPTURE(script);
        Program program(script);
        CHECK(program.ear.wait([&] { return !program.ear.of(0).empty(); }));
    }
}

TEST_CASE("one that does not answer is told of, point by point") {
    Program program("exec sleep 100", "asked");
    CHECK(program.ear.wait([&] { return program.ear.events().size() >= 2; }));
    CHECK(program.ear.events()[0].code == "timeout");
    CHECK(program.ear.events()[0].level == Level::point);
    CHECK(read_now(*program, 1).status == BusResult::Status::timeout);
}

TEST_CASE("a command is written to the program and its answer is what reads back") {
    Program program(R"(while read line; do
        case "$line" in
        '{"write":1,"point":"p0","value":20.5}') echo '{"done":1,"value":20}';;
        '{"write":2,'*) echo '{"failed":2,"text":"the valve is stuck"}';;
        esac
    done)");
    BusResult result = write_now(*program, 0, Value(20.5));
    CHECK(result.status == BusResult::Status::ok);
    CHECK(result.value == Value(std::int64_t{20}));
    result = write_now(*program, 0, Value(30.0));
    CHECK(result.status == BusResult::Status::refused);
    CHECK(result.text == "the valve is stuck");
    result = write_now(*program, 0, Value(1.0)); // it says nothing to the third
    CHECK(result.status == BusResult::Status::timeout);
}

TEST_CASE("a command whose program ends is no refusal of the device") {
    Program program("read line; exit 3");
    const BusResult result = write_now(*program, 0, Value(1.0));
    CHECK(result.status == BusResult::Status::failed);
    CHECK(result.text.find("exit code 3") != std::string::npos);
}

TEST_CASE("a program that ends is started again, and its last words are in the log") {
    Program program(R"(echo "GREETING=$GREETING" >&2; echo '{"point":"p0","value":1}'; exit 5)");
    CHECK(program.ear.wait([&] { return program.ear.of(0).size() >= 2; }));
    CHECK(program.text("program").find("exit code 5") != std::string::npos);
    CHECK(program.text("stderr") == "GREETING=hello there");
}

TEST_CASE("a program that cannot be run says why") {
    const SystemClock clock;
    Ear ear;
    SourceWork work = make_work("exec", 1, Milliseconds(100));
    Setting command = make_setting("command", std::monostate());
    command.items = {std::string("/does/not/exist")};
    work.config.settings = {command};
    auto source =
        make_source(work, PluginLibrary::load(plugin_file("exec"), true), clock, ear, quick_options());
    source->start();
    CHECK(ear.wait([&] { return ear.heard("program"); }));
    for (const SourceEvent& event : ear.events())
        if (event.code != "files") // a wall that this kernel lacks
            CHECK(event.text.find("No such file") != std::string::npos);
    work.config.settings.clear();
    CHECK(
        validate(work, *PluginLibrary::load(plugin_file("exec"), true), quick_options()).problems.at(0).key ==
        "command");
}

TEST_CASE("a program is ended with its children") {
    for (const Isolation isolation : {Isolation::none, Isolation::process}) {
        // Both ignore SIGTERM; the child does not even belong to the shell's wait.
        Program program(R"(trap '' TERM; (trap '' TERM; while :; do sleep 1; done) &
                           echo "{\"values\":{\"p0\":$$,\"p1\":$!}}"; while :; do sleep 1; done)",
                        "talks", 2, isolation);
        REQUIRE(program.ear.wait([&] { return !program.ear.of(1).empty(); }));
        const auto shell = static_cast<pid_t>(std::get<std::int64_t>(program.ear.of(0)[0].value));
        const auto child = static_cast<pid_t>(std::get<std::int64_t>(program.ear.of(1)[0].value));
        CHECK(is_alive(shell));
        CHECK(is_alive(child));
        program.end();
        Ear clock;
        CHECK(clock.wait([&] { return !is_alive(shell) && !is_alive(child); }, seconds(5)));
    }
}

TEST_CASE("a program gets neither the gateway's environment nor its descriptors, and no privileges") {
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/secret", 1);
    Program program(R"(echo "{\"point\":\"p0\",\"value\":\"$CREDENTIALS_DIRECTORY\"}"
                       echo "{\"point\":\"p1\",\"value\":\"$(ls /proc/self/fd | wc -l) $(grep NoNewPrivs /proc/self/status | tr -d '\t')\"}"
                       exec sleep 100)");
    REQUIRE(program.ear.wait([&] { return !program.ear.of(1).empty(); }));
    CHECK(program.ear.of(0)[0].value == Value(std::string()));
    CHECK(program.ear.of(1)[0].value == Value(std::string("4 NoNewPrivs:1"))); // 0, 1, 2 and ls's own
    unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_CASE("a program sees its own folder, and neither secrets nor other processes") {
    if (::syscall(444, nullptr, 0, 1) < 1)
        return skipped("there is no Landlock here");
    // Not in TempDir, which is below /dev.
    const fs::path top = fs::temp_directory_path() / ("things-exec-" + std::to_string(getpid()));
    fs::create_directories(top / "secrets");
    fs::create_directories(top / "program");
    std::ofstream(top / "secrets/boiler") << "shared secret";
    std::ofstream(top / "program/calibration") << "1.5";
    std::ofstream(top / "program/run") << R"(#!/bin/sh
says() { echo "{\"point\":\"$1\",\"value\":$2}"; }
if cat "${0%/*}/calibration" >/dev/null; then says p0 1; else says p0 0; fi
if cat "$SECRETS/boiler" >/dev/null 2>&1; then says p1 1; else says p1 0; fi
if (prlimit --pid "$GATEWAY" --nofile) >/dev/null 2>&1; then says p2 1; else says p2 0; fi
setsid sh -c 'echo "{\"point\":\"p3\",\"value\":$$}"; exec >/dev/null 2>&1; while :; do sleep 1; done' &
sleep 0.1 & kill $! && says p4 1
wait $!
while :; do sleep 1; done
)";
    fs::permissions(top / "program/run", fs::perms::owner_all);
    for (const bool is_open : {false, true}) {
        CAPTURE(is_open);
        Ear ear;
        const SystemClock clock;
        SourceOptions options = quick_options();
        options.host_executable += is_open ? "-open" : "";
        SourceWork work = make_work("exec", 5, Milliseconds(100));
        Setting command = make_setting("command", std::monostate());
        command.items = {(top / "program/run").string()};
        Setting environment = make_setting("environment", std::monostate());
        environment.items = {std::string("SECRETS"), (top / "secrets").string(), std::string("GATEWAY"),
                             std::to_string(getpid())};
        work.config.settings = {command, environment};
        work.hidden = {top / "secrets"}; // as a configuration that has its secrets there
        auto source = make_source(work, PluginLibrary::load(plugin_file("exec"), true), clock, ear, options);
        source->start();
        REQUIRE(ear.wait([&] { return !ear.of(3).empty() && !ear.of(4).empty(); }));
        CHECK(ear.of(0)[0].value == Value(std::int64_t{1}));
        CHECK(ear.of(1)[0].value == Value(std::int64_t{is_open}));
        CHECK(ear.of(2)[0].value == Value(std::int64_t{is_open}));
        // What left its session ends with the source all the same.
        const auto runaway = static_cast<pid_t>(std::get<std::int64_t>(ear.of(3)[0].value));
        CHECK(is_alive(runaway));
        source->stop();
        CHECK(source->join(seconds(5)));
        CHECK(ear.wait([&] { return !is_alive(runaway); }));
    }
    fs::remove_all(top);
}

TEST_CASE("garbage, floods and endless lines do no harm") {
    Program program(
        R"(head -c 300000 /dev/zero | tr '\0' 'x'; echo; echo nonsense; echo '{"values":{"p0":1e999}}'
                       echo '{"point":"p0","value":1}'; exec 0<&-; exec sleep 100)");
    CHECK(program.ear.wait([&] { return !program.ear.of(0).empty(); }));
    CHECK(program.ear.heard("line"));
    CHECK(write_now(*program, 0, Value(1.0)).status !=
          BusResult::Status::ok); // it closed its input: no SIGPIPE
    CHECK(program->status().state == "running");
}

} // namespace things
