// SPDX-License-Identifier: Apache-2.0
#include "delivery/pack_size.hpp"

#include <doctest/doctest.h>

using namespace things;

TEST_CASE("packs are as large as configured, and larger where posts are counted") {
    ThingsConfig things;
    BatchConfig batch;
    batch.max_records = 100;
    batch.max_bytes = 4000;
    PackSize size;
    CHECK(size.limits(things, batch).max_records == 100);
    CHECK(size.limits(things, batch).max_bytes == 4000);
    things.min_interval = seconds(288);
    CHECK(size.limits(things, batch).max_records == 1600);
    CHECK(size.limits(things, batch).max_bytes == 64'000);
}

TEST_CASE("a limit of the platform is kept, and tried again by a quarter after each 50 packs") {
    const ThingsConfig things;
    BatchConfig batch;
    batch.max_records = 100;
    batch.max_bytes = 4000;
    PackSize size;
    size.cut(40, 2000);
    for (int i = 0; i < 49; ++i)
        size.note_accepted(things, batch);
    CHECK(size.limits(things, batch).max_bytes == 2000);
    size.note_accepted(things, batch);
    CHECK(size.limits(things, batch).max_bytes == 2501);
    CHECK(size.limits(things, batch).max_records == 51);
    for (int i = 0; i < 500; ++i)
        size.note_accepted(things, batch);
    CHECK(size.limits(things, batch).max_bytes == 4000);
    size.cut(0, 0);
    CHECK(size.limits(things, batch).max_records == 1);
}

TEST_CASE("readings are estimated by the packs before, rather too many than too few") {
    PackSize size;
    CHECK(size.readings_for({1000, 6000}) == 115); // at 60 bytes each, and a tenth more
    for (int i = 0; i < 100; ++i)
        size.note_packed(100, 3000);
    CHECK(size.bytes_of(10) == doctest::Approx(300));
    CHECK(size.readings_for({1000, 6000}) == 226);
    CHECK(size.readings_for({50, 6000}) == 50);
    size.note_packed(1, 200); // says little: most of it is the base name
    CHECK(size.bytes_of(10) == doctest::Approx(300));
}
