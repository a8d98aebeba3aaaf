// SPDX-License-Identifier: Apache-2.0
#include "delivery/uploader.hpp"

#include "support/uploader_rig.hpp"

#include <doctest/doctest.h>

using namespace things;
using Rig = UploaderRig;

// What a reload may change under the uploader: devices that go, come back or get another name.

TEST_CASE("a device that goes while its probe is read from flash does not stop the others") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    rig.https.fail(TransportError::connect, false); // the uplink is down, the next post will be the probe
    rig.run();
    REQUIRE(!rig.uploader->totals().is_uplink_open);
    rig.backlog.is_on_flash = true;
    rig.pass(60'000);
    REQUIRE(rig.backlog.late.size() == 1);
    rig.uploader->remove(1);
    rig.backlog.read_flash();
    rig.backlog.is_on_flash = false;
    rig.add_device(2);
    rig.read(2, 1, true);
    rig.run();
    CHECK(rig.https.open.size() == 1);
    rig.serve([](const auto&) { return 202; });
    CHECK(rig.uploader->totals().is_uplink_open);
    CHECK(rig.backlog.in_flight() == 0); // the reading of the removed one is back in the queue
    CHECK(rig.backlog.left() == 1);
}

TEST_CASE("a retired device sends what waits, and asks for no downlink after that") {
    Rig rig;
    rig.things.downlink_poll = seconds(10);
    rig.make();
    rig.add_device(1);
    rig.read(1, 3);
    rig.uploader->retire(1);
    rig.pass(60'000);
    CHECK(rig.serve([](const auto&) { return 202; }) == 1);
    CHECK(rig.backlog.left() == 0);
    rig.pass(3'600'000);
    CHECK(rig.https.open.empty());
    rig.add_device(1);
    rig.run();
    CHECK(rig.https.open.size() == 1);
}

TEST_CASE("a parked device is told of anew under its new name, or when it comes back") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    rig.answer(401);
    REQUIRE(rig.alarms.size() == 1);
    SUBCASE("another name") {
        rig.uploader->update({1, "kettle", "uuid-1", Secret("s")});
    }
    SUBCASE("gone and back") {
        rig.uploader->retire(1);
        rig.add_device(1);
    }
    rig.run();
    rig.answer(401); // it is tried at once
    REQUIRE(rig.alarms.size() == 2);
    rig.pass(120'000);
    rig.answer(401);
    CHECK(rig.alarms.size() == 2);
    rig.pass(240'000);
    rig.answer(202);
    CHECK(rig.recovered.size() == 1);
}

TEST_CASE("a new address is tried at once, whatever the old one said") {
    Rig rig;
    rig.batch.max_age = seconds(0);
    rig.make();
    rig.add_device(1);
    rig.add_device(2);
    rig.read(1);
    rig.run();
    rig.answer(404);
    rig.read(2);
    rig.run();
    rig.answer(302);
    rig.run();
    REQUIRE(rig.https.open.empty());
    SUBCASE("the same address") {
        rig.uploader->configure(rig.things, rig.batch);
        rig.run();
        CHECK(rig.https.open.empty());
    }
    SUBCASE("another one") {
        rig.things.url = "https://other.example/senml";
        rig.uploader->configure(rig.things, rig.batch);
        rig.run();
        CHECK(rig.serve([](const auto&) { return 202; }) == 2);
        CHECK(rig.backlog.left() == 0);
    }
}
