// SPDX-License-Identifier: Apache-2.0
#include "exec/child.hpp"
#include "exec/restart_pause.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace things {

namespace {

/// The first that it says.
std::string first_word(const Child& child) {
    pollfd ready{child.output(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, 10'000) == 1);
    char text[100];
    const ssize_t count = ::read(child.output(), text, sizeof text);
    REQUIRE(count >= 0);
    return {text, static_cast<std::size_t>(count)};
}

/// A folder in which a program is called `say`.
std::string make_folder(const std::filesystem::path& folder, const char* program) {
    std::filesystem::create_directory(folder);
    std::filesystem::create_symlink(program, folder / "say");
    return folder.string();
}

} // namespace

TEST_CASE("a program is found where its own PATH says, never where the gateway's does") {
    const TempDir folder;
    const std::string gateways = make_folder(folder.path() / "gateways", "/bin/false");
    const std::string own = make_folder(folder.path() / "own", "/bin/echo");
    const std::string before = std::getenv("PATH");
    setenv("PATH", (gateways + ":" + before).c_str(), 1);
    Child child;
    CHECK(child.start({"say"}, {}) == "say: No such file or directory");
    REQUIRE(child.start({"say", "hello"}, {{"PATH", "/nowhere:" + own}}) == "");
    CHECK(first_word(child) == "hello\n");
    REQUIRE(child.start({"sh", "-c", "echo $PATH"}, {}) == "");
    CHECK(first_word(child) == "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n");
    setenv("PATH", before.c_str(), 1);
}

TEST_CASE("a program is not started without its pipes") {
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit few{16, limit.rlim_max}; // enough for the pipes, not for their copies above 15
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    Child child;
    const std::string error = child.start({"/bin/true"}, {});
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(error.find("no pipe: ") == 0);
    CHECK_FALSE(child.is_running());
}

TEST_CASE("nobody is ended in place of a program that does not run") {
    Child child;
    CHECK(child.bury() == "was not running");
}

TEST_CASE("the pause before a restart grows with each failure and begins anew after a good run") {
    RestartPause pause;
    CHECK(pause.on_end(0) == 1000); // could not be started
    CHECK(pause.on_end(1000) == 2000);
    pause.on_start(3000);
    CHECK(pause.on_end(3100) == 4000); // ended at once
    pause.on_start(10'000);
    CHECK(pause.on_end(70'000) == 1000); // ran for a minute
    CHECK(pause.on_end(71'000) == 2000); // can no longer be started: no good run
    CHECK(pause.on_end(73'000) == 4000);
    for (int i = 0; i < 10; ++i)
        (void)pause.on_end(80'000);
    CHECK(pause.on_end(80'000) == 60'000);
}

} // namespace things
