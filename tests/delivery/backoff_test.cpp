// SPDX-License-Identifier: Apache-2.0
#include "delivery/backoff.hpp"
#include "delivery/uplink.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <random>

using namespace things;

TEST_CASE("waits grow to the cap and are jittered over all of it") {
    Backoff backoff(seconds(1), seconds(60));
    const double nearly_one = 0.999999;
    std::int64_t expected = 1000;
    for (int i = 0; i < 100; ++i) {
        const auto wait = backoff.next(nearly_one).count();
        CHECK(wait <= expected);
        CHECK(wait >= expected - 1);
        expected = std::min<std::int64_t>(expected * 2, 60'000);
    }
    CHECK(backoff.next(0).count() == 0);
    CHECK(backoff.next(0.5).count() == 30'000);
}

TEST_CASE("only three successes in a row start the back-off anew") {
    Backoff backoff(seconds(1), seconds(60));
    for (int i = 0; i < 4; ++i)
        static_cast<void>(backoff.next(0.5));
    backoff.succeed();
    backoff.succeed();
    CHECK(backoff.next(0.5).count() == 8000);
    for (int i = 0; i < 3; ++i)
        backoff.succeed();
    CHECK(backoff.next(0.5).count() == 500);
}

TEST_CASE("absurd settings do no harm") {
    Backoff zero(Milliseconds(0), Milliseconds(0));
    CHECK(zero.next(0.9).count() == 0);
    Backoff fresh(seconds(1), seconds(60));
    for (const double wrong : {-1.0, 1.0, 1e300, std::numeric_limits<double>::quiet_NaN()}) {
        const auto wait = fresh.next(wrong).count();
        CHECK((wait >= 1000 && wait <= 60'000));
    }
    Backoff reversed(hours(24), seconds(1));
    for (int i = 0; i < 50; ++i)
        CHECK(reversed.next(0.9).count() <= 1000);
}

TEST_CASE("an open breaker lets one probe through at a time") {
    Breaker breaker(seconds(1), seconds(60));
    CHECK(breaker.admit(0));
    breaker.on_failure(0, 0.5, std::nullopt);
    CHECK_FALSE(breaker.admit(499));
    CHECK(breaker.next_try_ms() == 500);
    CHECK(breaker.admit(500));
    CHECK_FALSE(breaker.admit(500)); // the probe is on its way
    CHECK_FALSE(breaker.next_try_ms());
    SUBCASE("that is answered") {
        breaker.on_answer();
        CHECK(breaker.state() == Breaker::State::closed);
        CHECK(breaker.admit(501));
        CHECK(breaker.admit(501));
    }
    SUBCASE("that fails") {
        breaker.on_failure(600, 0.5, std::nullopt);
        CHECK_FALSE(breaker.admit(1599));
        CHECK(breaker.admit(1600));
    }
    SUBCASE("that ends without a result") {
        breaker.on_probe_dropped(550);
        CHECK(breaker.admit(550));
    }
}

TEST_CASE("a pause that the platform asked for is kept, also when the link comes up") {
    Breaker breaker(seconds(1), seconds(60));
    breaker.on_failure(0, 0.0, seconds(120));
    breaker.wake(1);
    CHECK_FALSE(breaker.admit(119'999));
    CHECK(breaker.admit(120'000));
    Breaker other(seconds(1), seconds(60));
    other.on_failure(0, 0.9, std::nullopt);
    other.wake(1);
    CHECK(other.admit(1));
}

TEST_CASE("failures that were in flight together count once") {
    Breaker breaker(seconds(1), seconds(60));
    for (int i = 0; i < 8; ++i)
        breaker.on_failure(0, 0.5, std::nullopt);
    CHECK(breaker.failures() == 1);
    CHECK(breaker.next_try_ms() == 500);
}

namespace {

Verdict failed(Scope scope = Scope::device) {
    Verdict verdict;
    verdict.scope = scope;
    verdict.counts_for_breaker = true;
    verdict.reason = "it failed";
    return verdict;
}

Verdict delivered() {
    Verdict verdict;
    verdict.next = Next::delivered;
    return verdict;
}

} // namespace

TEST_CASE("one stumbling device does not take the uplink down, several do") {
    Uplink uplink(seconds(1), seconds(60));
    for (int i = 0; i < 10; ++i)
        CHECK(uplink.on_answer(1, failed(), false, i, 0.5) == Uplink::Change::none);
    CHECK(uplink.on_answer(2, failed(), false, 11, 0.5) == Uplink::Change::went_down);
    CHECK(uplink.is_down());
    CHECK(uplink.on_answer(1, delivered(), false, 12, 0.5) == Uplink::Change::none); // from before
    CHECK(uplink.breaker().admit(10'000));
    CHECK(uplink.on_answer(1, delivered(), false, 10'001, 0.5) == Uplink::Change::came_up);
    CHECK_FALSE(uplink.is_down());
}

TEST_CASE("an hour that was asked of one device is not the others' to wait") {
    Uplink uplink(seconds(1), seconds(60));
    Verdict failure;
    failure.counts_for_breaker = true;
    failure.wait = hours(1);
    for (const DeviceId device : {1U, 2U, 3U})
        static_cast<void>(uplink.on_answer(device, failure, false, 0, 0.5));
    REQUIRE(uplink.is_down());
    CHECK(uplink.breaker().next_try_ms().value() <= 1000);
    SUBCASE("429 and 503 speak for the host") {
        failure.scope = Scope::uplink;
        static_cast<void>(uplink.on_answer(1, failure, false, 1, 0.5));
        CHECK(uplink.breaker().next_try_ms().value() >= 3'600'000);
    }
}

TEST_CASE("what speaks of the host takes the uplink down at once, and is told when it lasts") {
    Uplink uplink(seconds(1), seconds(60));
    CHECK(uplink.on_answer(1, failed(Scope::uplink), false, 0, 0.5) == Uplink::Change::went_down);
    int told = 0;
    std::int64_t now = 0;
    for (int i = 0; i < 20; ++i) {
        now = uplink.breaker().next_try_ms().value();
        REQUIRE(uplink.admit(1, now));
        const auto change = uplink.on_answer(1, failed(Scope::uplink), false, now, 0.9);
        told += change == Uplink::Change::stayed_down ? 1 : 0;
    }
    CHECK(told == 1);
}
