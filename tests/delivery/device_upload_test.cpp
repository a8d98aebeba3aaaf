// SPDX-License-Identifier: Apache-2.0
#include "delivery/device_upload.hpp"

#include "support/delivery_fakes.hpp"

#include <doctest/doctest.h>

using namespace things;

namespace {

/// A device without an uploader: the test gives it its turns and its answers.
struct DeviceRig {
    ManualClock clock;
    MemoryBacklog backlog{clock};
    std::vector<UploadAlarm> alarms, recovered;
    UploadPorts ports{clock, backlog, {}, {}, hooks()};
    DeviceUpload device{ports, {1, "boiler", "uuid", Secret("s")}};

    UploadHooks hooks() {
        UploadHooks hooks;
        hooks.find_series = [](SeriesId) {
            return SeriesText{"a", ""};
        };
        hooks.on_alarm = [this](const UploadAlarm& alarm) {
            alarms.push_back(alarm);
        };
        hooks.on_recovered = [this](const UploadAlarm& alarm) {
            recovered.push_back(alarm);
        };
        hooks.is_clock_plausible = [] {
            return true;
        };
        hooks.random = [] {
            return 0.5;
        };
        return hooks;
    }
    void read(int count) {
        for (int i = 0; i < count; ++i)
            backlog.append(1, {0, {clock.wall_ms() + i, Stamp::Clock::wall}, std::int64_t{i}});
    }
    /// Makes the planned post, whenever it is due, and returns its body.
    std::string post() {
        const auto plan = device.plan();
        REQUIRE(plan);
        clock.boot = std::max(clock.boot, plan->when_ms);
        std::optional<Post> made = device.begin(plan->purpose);
        if (!made)
            device.take(plan->purpose,
                        [&](Batch batch) { made = device.on_taken(plan->purpose, std::move(batch)); });
        REQUIRE(made);
        return made->body;
    }
    void answer(int status) {
        Answer answer;
        answer.status = status;
        answer.sent = true;
        const Verdict verdict = judge(answer, clock.wall_ms());
        device.note_answer(answer, verdict, explain(answer, {"host", "boiler", "uuid", 0, true}));
        device.on_answer(answer, verdict, false);
        device.end_turn();
    }
    [[nodiscard]] std::optional<Purpose> next() const {
        const auto plan = device.plan();
        return plan ? std::optional(plan->purpose) : std::nullopt;
    }
};

} // namespace

TEST_CASE("what becomes of a pack by its answer") {
    DeviceRig rig;
    CHECK_FALSE(rig.device.plan()); // nothing waits
    rig.read(4);
    CHECK(rig.device.plan()->when_ms == rig.clock.boot + rig.ports.batch.max_age.count());
    const std::string body = rig.post();
    CHECK(rig.device.is_sending());
    CHECK(rig.device.status("").state == "sending");
    SUBCASE("202: settled") {
        rig.answer(202);
        CHECK(rig.backlog.accepted.size() == 4);
        CHECK(rig.device.status("").readings == 4);
        CHECK_FALSE(rig.device.plan());
    }
    SUBCASE("500: kept, and sent again byte by byte after a wait") {
        rig.answer(500);
        CHECK(rig.backlog.in_flight() == 0);
        CHECK(rig.next() == Purpose::again);
        CHECK(rig.device.plan()->when_ms > rig.clock.boot);
        CHECK(rig.device.status("").state == "waiting for a retry: 500 Internal Server Error");
        CHECK(rig.post() == body);
    }
    SUBCASE("401: kept and parked, with one alarm; a probe that is accepted ends it") {
        rig.answer(401);
        CHECK(rig.backlog.in_flight() == 0);
        CHECK(rig.device.is_parked());
        CHECK(rig.next() == Purpose::probe);
        REQUIRE(rig.alarms.size() == 1);
        CHECK(rig.alarms[0].kind == UploadAlarm::Kind::device_parked);
        rig.post();
        rig.answer(202);
        CHECK_FALSE(rig.device.is_parked());
        CHECK(rig.recovered.size() == 1);
    }
    SUBCASE("413: kept, and packs of half the size from now on") {
        rig.answer(413);
        CHECK(rig.backlog.in_flight() == 0);
        CHECK(rig.device.status("").max_records == 2);
        CHECK(rig.device.status("").max_bytes == body.size() / 2);
    }
    SUBCASE("400: halved until one alone is refused, which is a dead letter a minute later") {
        rig.answer(400);
        CHECK(rig.next() == Purpose::search);
        rig.post(); // two
        rig.answer(400);
        rig.post(); // one of them
        rig.answer(400);
        rig.post(); // the other
        rig.answer(202);
        rig.post(); // the other half
        rig.answer(202);
        CHECK(rig.backlog.accepted.size() == 3);
        CHECK(rig.next() == Purpose::recheck);
        CHECK(rig.device.plan()->when_ms == rig.clock.boot + 60'000);
        rig.post();
        rig.answer(400);
        REQUIRE(rig.backlog.dead.size() == 1);
        CHECK(rig.backlog.left() == 0);
    }
    CHECK(rig.backlog.settled_twice == 0);
}

TEST_CASE("a device that goes hands back what it holds") {
    DeviceRig rig;
    rig.read(4);
    rig.post();
    SUBCASE("under suspicion") {
        rig.answer(400);
        REQUIRE(rig.backlog.in_flight() == 4);
        rig.device.remove();
    }
    SUBCASE("on its way") {
        rig.device.close();
        CHECK_FALSE(rig.device.is_sending());
    }
    CHECK(rig.backlog.in_flight() == 0);
    CHECK(rig.backlog.left() == 4);
    CHECK(rig.backlog.settled_twice == 0);
}
