// SPDX-License-Identifier: Apache-2.0
#include "delivery/packer.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace things;

namespace {

constexpr std::int64_t start = 1'700'000'000'000;

SeriesText find_text(SeriesId id) {
    switch (id) {
    case 0:
        return {"temperature", "Cel"};
    case 1:
        return {"pump", ""};
    case 2:
        return {"temperature", "K"}; // the same name after a change of unit
    case 3:
        return {"bad name", ""};
    default:
        return {};
    }
}

Batch make_batch(std::vector<Reading> readings) {
    Batch batch;
    for (std::size_t i = 0; i < readings.size(); ++i)
        batch.sequence.push_back(i + 1);
    batch.readings = std::move(readings);
    return batch;
}

Reading at(SeriesId series, std::int64_t offset, Value value) {
    return {series, {start + offset, Stamp::Clock::wall}, std::move(value)};
}

} // namespace

TEST_CASE("a batch becomes a pack") {
    Packer packer(&find_text);
    const Batch batch = make_batch({at(0, 0, 20.5), at(1, 0, true), at(0, 1000, 21.0)});
    const Pack pack = packer.pack("b:", batch, 0, 3, {});
    CHECK(pack.body ==
          R"([{"bn":"b:","bt":1700000000,"n":"temperature","u":"Cel","v":20.5},{"n":"pump","vb":true},)"
          R"({"n":"temperature","u":"Cel","t":1,"v":21}])");
    CHECK(pack.used == 3);
    CHECK(pack.records == 3);
    CHECK(packer.pack("b:", batch, 0, 3, {}).body == pack.body);
    CHECK(packer.pack("b:", batch, 1, 1, {}).body == R"([{"bn":"b:","bt":1700000000,"n":"pump","vb":true}])");
}

TEST_CASE("a pack ends before a name and time that it holds already") {
    Packer packer(&find_text);
    SUBCASE("of the same series") {
        const Pack pack = packer.pack("b:", make_batch({at(0, 0, 1.0), at(0, 0, 2.0)}), 0, 2, {});
        CHECK(pack.used == 1);
    }
    SUBCASE("of another series with that name") {
        const Pack pack =
            packer.pack("b:", make_batch({at(0, 0, 1.0), at(1, 0, true), at(2, 0, 2.0)}), 0, 3, {});
        CHECK(pack.used == 2);
    }
    SUBCASE("among times that go back") {
        const Batch batch =
            make_batch({at(0, 3000, 1.0), at(0, 1000, 2.0), at(0, 2000, 3.0), at(0, 1000, 4.0)});
        CHECK(packer.pack("b:", batch, 0, 4, {}).used == 3);
        CHECK(packer.pack("b:", batch, 3, 1, {}).used == 1);
    }
    SUBCASE("but not because of another pack") {
        const Batch batch = make_batch({at(0, 0, 1.0)});
        CHECK(packer.pack("b:", batch, 0, 1, {}).used == 1);
        CHECK(packer.pack("b:", batch, 0, 1, {}).used == 1);
    }
}

TEST_CASE("limits of records and bytes hold") {
    Packer packer(&find_text);
    std::vector<Reading> readings;
    for (int i = 0; i < 100; ++i)
        readings.push_back(at(0, i, i * 1.5));
    const Batch batch = make_batch(std::move(readings));
    CHECK(packer.pack("b:", batch, 0, 100, {7, 100'000}).records == 7);
    for (std::size_t limit : {1, 100, 200, 1000, 2000}) {
        const Pack pack = packer.pack("b:", batch, 0, 100, {1000, limit});
        CHECK((pack.body.size() <= limit || pack.records == 1));
        const Pack more = packer.pack("b:", batch, 0, pack.used + 1, {1000, 1'000'000});
        CHECK((more.body.size() > limit || pack.used == 100));
    }
}

TEST_CASE("readings that can never be sent are named and do not hold up the others") {
    Packer packer(&find_text);
    const Batch batch = make_batch({at(0, 0, std::numeric_limits<double>::quiet_NaN()),
                                    at(3, 0, 1.0),
                                    at(9, 0, 1.0),
                                    {0, {5, Stamp::Clock::wall}, 1.0},
                                    at(1, 0, true)});
    const Pack pack = packer.pack("b:", batch, 0, 5, {});
    CHECK(pack.body == R"([{"bn":"b:","bt":1700000000,"n":"pump","vb":true}])");
    CHECK(pack.used == 5);
    REQUIRE(pack.refused.size() == 4);
    CHECK(pack.refused[0].reason == "not a finite number");
    CHECK(pack.refused[1].reason == "the name \"bad name\" is not a SenML name");
    CHECK(pack.refused[3].index == 3);
    const Pack none = packer.pack("b:", batch, 0, 2, {});
    CHECK(none.body.empty()); // never []
    CHECK(none.used == 2);
}
