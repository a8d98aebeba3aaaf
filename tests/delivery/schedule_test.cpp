// SPDX-License-Identifier: Apache-2.0
#include "delivery/schedule.hpp"

#include <doctest/doctest.h>

#include <map>

using things::UploadSchedule;

TEST_CASE("devices come when they are due, earliest first") {
    UploadSchedule schedule;
    schedule.set_due(1, 300);
    schedule.set_due(2, 100);
    schedule.set_due(3, 200);
    schedule.set_due(1, 50);
    CHECK(schedule.next_due_ms() == 50);
    CHECK_FALSE(schedule.pop_due(49));
    CHECK(schedule.pop_due(150) == 1U);
    CHECK(schedule.pop_due(150) == 2U);
    CHECK_FALSE(schedule.pop_due(150));
    schedule.forget(3);
    CHECK_FALSE(schedule.next_due_ms());
}

TEST_CASE("ready devices are served in turn, the second line every fourth time at least") {
    UploadSchedule schedule;
    std::map<unsigned, int> served;
    for (unsigned id = 0; id < 6; ++id)
        schedule.set_ready(id, id < 3 ? UploadSchedule::Rank::first : UploadSchedule::Rank::second);
    for (int i = 0; i < 400; ++i) {
        const auto id = schedule.pop_ready();
        REQUIRE(id);
        ++served[*id];
        schedule.set_ready(*id, *id < 3 ? UploadSchedule::Rank::first : UploadSchedule::Rank::second);
    }
    for (unsigned id = 0; id < 3; ++id)
        CHECK(served[id] == 100);
    for (unsigned id = 3; id < 6; ++id)
        CHECK(served[id] >= 33);
}

TEST_CASE("devices that change lines for days do not fill the memory") {
    UploadSchedule schedule;
    for (int i = 0; i < 100'000; ++i)
        for (unsigned id = 0; id < 5; ++id)
            schedule.set_ready(id, (i + static_cast<int>(id)) % 2 == 0 ? UploadSchedule::Rank::first
                                                                       : UploadSchedule::Rank::second);
    CHECK(schedule.size() < 100);
    int count = 0;
    while (schedule.pop_ready())
        ++count;
    CHECK(count == 5);
}

TEST_CASE("a device has one place") {
    UploadSchedule schedule;
    schedule.set_ready(1, UploadSchedule::Rank::first);
    schedule.set_ready(1, UploadSchedule::Rank::first);
    schedule.set_ready(1, UploadSchedule::Rank::second);
    schedule.set_due(2, 10);
    schedule.set_ready(2, UploadSchedule::Rank::first);
    CHECK_FALSE(schedule.pop_due(100));
    CHECK(schedule.pop_ready() == 2U);
    CHECK(schedule.pop_ready() == 1U);
    CHECK_FALSE(schedule.has_ready());
    CHECK_FALSE(schedule.pop_ready());
}
