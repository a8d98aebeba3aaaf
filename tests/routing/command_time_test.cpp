// SPDX-License-Identifier: Apache-2.0
#include "routing/command_time.hpp"

#include "platform/token_bucket.hpp"
#include "support/fake_time.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using things::command_time;
using State = things::CommandTime::State;

namespace {

things::Command received_now(const things::FakeTime& time) {
    things::Command command;
    command.received_wall_ms = time.wall;
    command.received_boot_ms = time.boot;
    command.boot_id = time.id;
    command.ttl_ms = 60'000;
    return command;
}

} // namespace

TEST_CASE("within one boot a clock step changes nothing") {
    things::FakeTime time;
    const auto command = received_now(time);
    time.wall += 86'400'000;
    CHECK(command_time(command, time, true).state == State::due);
    CHECK(command_time(command, time, false).in_ms == 60'000);
    time.wall -= 2 * 86'400'000;
    time.boot += 60'000;
    CHECK(command_time(command, time, true).state == State::due);
    time.boot += 1;
    CHECK(command_time(command, time, true).state == State::over);
}

TEST_CASE("a command for later is early, then due, then over") {
    things::FakeTime time;
    auto command = received_now(time);
    command.delay_ms = 30'000;
    CHECK(command_time(command, time, true).state == State::early);
    CHECK(command_time(command, time, true).in_ms == 30'000);
    time.boot += 30'000;
    CHECK(command_time(command, time, true).state == State::due);
    time.boot += 60'001;
    CHECK(command_time(command, time, true).state == State::over);
}

TEST_CASE("over a restart of the machine the time goes on") {
    things::FakeTime time;
    const auto command = received_now(time);
    SUBCASE("a quick one leaves the rest of the ttl") {
        time.reboot(20s);
        CHECK(command_time(command, time, true).state == State::due);
        CHECK(command_time(command, time, true).in_ms == 40'000);
    }
    SUBCASE("a long one ends it") {
        time.reboot(61s);
        CHECK(command_time(command, time, true).state == State::over);
    }
    SUBCASE("while the clock is not set nothing begins, and what must be over is over") {
        time.reboot(20s);
        CHECK(command_time(command, time, false).state == State::unknown);
        time.boot = 60'001;
        CHECK(command_time(command, time, false).state == State::over);
    }
    SUBCASE("a clock that went back does not lengthen a life") {
        time.reboot(-3600s);
        CHECK(command_time(command, time, true).state == State::over);
    }
}

TEST_CASE("a set-point falls back however late, and without a clock after its time in this boot") {
    things::FakeTime time;
    auto command = received_now(time);
    command.ttl_ms = things::command_forever_ms;
    command.delay_ms = 600'000;
    CHECK(command_time(command, time, true).state == State::early);
    time.reboot(24h * 30);
    CHECK(command_time(command, time, true).state == State::due);
    CHECK(command_time(command, time, false).state == State::unknown);
    time.boot = 600'000;
    CHECK(command_time(command, time, false).state == State::due);
}

TEST_CASE("a bucket gives its burst, then one a period") {
    things::TokenBucket bucket(3, 1000);
    CHECK(bucket.take(0));
    CHECK(bucket.take(0));
    CHECK(bucket.take(0));
    CHECK_FALSE(bucket.take(0));
    CHECK(bucket.wait_ms(0) == 1000);
    CHECK_FALSE(bucket.take(999));
    CHECK(bucket.take(1000));
    CHECK_FALSE(bucket.take(1000));
    CHECK(bucket.take(60'000));
    CHECK(bucket.take(60'000));
    CHECK(bucket.take(60'000));
    CHECK_FALSE(bucket.take(60'000));
}
