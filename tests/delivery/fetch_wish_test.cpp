// SPDX-License-Identifier: Apache-2.0
#include "delivery/fetch_wish.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("a downlink is fetched at once, but not more than 30 times a minute") {
    FetchWish wish;
    CHECK_FALSE(wish.is_asked());
    for (int i = 0; i < 30; ++i) {
        wish.ask(100'000 + i);
        CHECK(wish.when_ms() == 100'000 + i);
        wish.end();
        CHECK_FALSE(wish.is_asked());
    }
    wish.ask(101'000);
    CHECK(wish.when_ms() == 160'000); // the minute ends
    wish.end();
    wish.ask(160'000);
    CHECK(wish.when_ms() == 160'000);
}
