// SPDX-License-Identifier: Apache-2.0
#include "platform/log.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

TEST_CASE("a level below the threshold is off") {
    things::log::set_level(things::log::Level::warning);
    CHECK_FALSE(things::log::is_on(things::log::Level::info));
    CHECK(things::log::is_on(things::log::Level::error));
    things::log::set_level(things::log::Level::info);
}

TEST_CASE("a log that nobody reads is not waited for, and what it lost is counted where it is missing") {
    const int usual = dup(2);
    int pipe[2];
    REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
    REQUIRE(dup2(pipe[1], 2) == 2);
    things::log::start();
    constexpr int lines = 30'000;
    for (int number = 0; number < lines; ++number)
        things::log::warning("line {}", number);
    CHECK_FALSE(things::log::flush());
    std::string text;
    std::thread reader([&text, end = pipe[0]] {
        char chunk[65536];
        for (ssize_t n = 0; (n = read(end, chunk, sizeof chunk)) > 0;)
            text.append(chunk, static_cast<std::size_t>(n));
    });
    while (!things::log::flush()) {
    }
    things::log::warning("line {}", lines);
    CHECK(things::log::flush());
    dup2(usual, 2); // closes the pipe, which ends the reader
    close(pipe[1]);
    reader.join();
    close(pipe[0]);
    close(usual);
    int next = 0, gaps = 0;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) {
        int number = 0;
        if (const auto lost = line.find("log: "); lost != std::string::npos) {
            REQUIRE(std::sscanf(line.c_str() + lost, "log: %d lines lost", &number) == 1);
            next += number;
            ++gaps;
            continue;
        }
        REQUIRE(std::sscanf(line.c_str() + line.find("line "), "line %d", &number) == 1);
        REQUIRE(number == next);
        ++next;
    }
    CHECK(next == lines + 1);
    CHECK(gaps == 1);
}
