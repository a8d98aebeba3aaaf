// SPDX-License-Identifier: Apache-2.0
#include "platform/log.hpp"

#include <doctest/doctest.h>

TEST_CASE("a level below the threshold is off") {
    things::log::set_level(things::log::Level::warning);
    CHECK_FALSE(things::log::is_on(things::log::Level::info));
    CHECK(things::log::is_on(things::log::Level::error));
    things::log::set_level(things::log::Level::info);
}
