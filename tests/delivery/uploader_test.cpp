// SPDX-License-Identifier: Apache-2.0
#include "delivery/uploader.hpp"

#include "support/uploader_rig.hpp"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

using namespace things;
using Rig = UploaderRig;

namespace {

bool has(const std::string& body, int value) {
    return body.find("\"v\":" + std::to_string(value) + "}") != std::string::npos;
}

} // namespace

TEST_CASE("a pack is due by age, by records, by bytes or by urgency, and not before") {
    Rig rig;
    rig.batch.max_records = 100;
    rig.make();
    rig.add_device(1);
    rig.read(1, 3);
    rig.run();
    CHECK(rig.https.open.empty());
    SUBCASE("age") {
        rig.pass(59'999);
        CHECK(rig.https.open.empty());
        rig.pass(1);
        CHECK(rig.https.open.size() == 1);
    }
    SUBCASE("records") {
        rig.read(1, 96);
        rig.run();
        CHECK(rig.https.open.empty());
        rig.read(1, 1);
        rig.run();
        CHECK(rig.https.open.size() == 1);
    }
    SUBCASE("urgency") {
        rig.read(1, 1, true);
        rig.run();
        CHECK(rig.https.open.size() == 1);
    }
    SUBCASE("a fetch that is asked for") {
        rig.uploader->request_post(1);
        rig.run();
        CHECK(rig.https.open.size() == 1);
    }
    rig.serve([](const auto&) { return 202; });
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.uploader->totals().readings_accepted == rig.backlog.appended);
    CHECK(rig.backlog.settled_twice == 0);
}

TEST_CASE("bytes make a pack due") {
    Rig rig;
    rig.batch.max_bytes = 600;
    rig.make();
    rig.add_device(1);
    rig.read(1, 9);
    rig.run();
    CHECK(rig.https.open.empty());
    rig.read(1, 1);
    rig.run();
    REQUIRE(rig.https.open.size() == 1);
    CHECK(rig.https.bodies.front().size() <= 600);
}

TEST_CASE("at most one post per device and `parallel` over all are under way") {
    Rig rig;
    rig.things.parallel = 3;
    rig.make();
    for (DeviceId id = 0; id < 10; ++id) {
        rig.add_device(id);
        rig.read(id, 1200);
    }
    rig.run();
    CHECK(rig.https.open.size() == 3);
    std::size_t posts = 0;
    while (!rig.https.open.empty()) {
        std::set<std::string> names;
        for (const auto& open : rig.https.open)
            names.insert(open.post.body.substr(0, 40).substr(0, open.post.body.find("\",")));
        CHECK(names.size() == rig.https.open.size());
        rig.answer(202);
        ++posts;
        rig.pass(60'000);
    }
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.https.most_open == 3);
    CHECK(posts >= 30);
}

TEST_CASE("after an outage live readings of all devices go first, then the backlog beside them") {
    Rig rig;
    rig.things.parallel = 1;
    rig.make();
    for (DeviceId id = 0; id < 3; ++id) {
        rig.add_device(id);
        rig.read(id, 1000);
        rig.backlog.move_to_backlog(id);
        rig.read(id, 1);
    }
    rig.pass(60'000);
    std::vector<bool> live;
    while (!rig.https.open.empty()) {
        const std::string& body = rig.https.open.front().post.body;
        live.push_back(has(body, 1001) || has(body, 2002) || has(body, 3003));
        rig.answer(202);
    }
    REQUIRE(live.size() >= 9);
    CHECK((live[0] && live[1] && live[2]));
    CHECK_FALSE(live[3]);
    CHECK(rig.backlog.left() == 0);
}

TEST_CASE("a pack that may have arrived is sent again byte by byte") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 5);
    rig.pass(60'000);
    REQUIRE(rig.https.open.size() == 1);
    rig.https.fail(TransportError::broken, true);
    rig.run();
    rig.read(1, 600);
    rig.run();
    CHECK(rig.https.open.empty()); // backing off
    rig.pass(1000);
    REQUIRE(rig.https.bodies.size() == 2);
    CHECK(rig.https.bodies[1] == rig.https.bodies[0]);
    rig.answer(503);
    rig.pass(120'000);
    REQUIRE(rig.https.bodies.size() == 3);
    CHECK(rig.https.bodies[2] == rig.https.bodies[0]);
    rig.serve([](const auto&) { return 202; });
    CHECK(rig.backlog.left() == 0);
}

TEST_CASE("a post that never left does not bind the next pack") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 5);
    rig.pass(60'000);
    rig.https.fail(TransportError::connect, false);
    rig.run();
    rig.read(1, 3);
    rig.pass(60'000);
    REQUIRE(rig.https.bodies.size() == 2);
    CHECK(has(rig.https.bodies[1], 8));
}

TEST_CASE("an unreachable host is tried by one probe at a time, then all resume") {
    Rig rig;
    for (DeviceId id = 0; id < 20; ++id) {
        rig.add_device(id);
        rig.read(id, 2);
    }
    rig.pass(60'000);
    CHECK(rig.https.open.size() == 8);
    while (!rig.https.open.empty()) {
        rig.https.fail(TransportError::connect, false);
        rig.run();
    }
    CHECK_FALSE(rig.uploader->totals().is_uplink_open);
    for (int i = 0; i < 10; ++i) {
        rig.pass(60'000);
        REQUIRE(rig.https.open.size() == 1);
        rig.https.fail(TransportError::connect, false);
        rig.run();
    }
    REQUIRE(rig.alarms.size() == 1);
    CHECK(rig.alarms[0].kind == UploadAlarm::Kind::uplink_down);
    rig.pass(60'000);
    rig.answer(202);
    CHECK(rig.https.open.size() == 8);
    rig.serve([](const auto&) { return 202; });
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.recovered.size() == 1);
}

TEST_CASE("a post that fails late does not let a second probe go") {
    Rig rig;
    rig.things.parallel = 5;
    rig.make();
    for (DeviceId id = 1; id <= 5; ++id) {
        rig.add_device(id);
        rig.read(id);
    }
    rig.pass(60'000);
    REQUIRE(rig.https.open.size() == 5);
    for (int i = 0; i < 3; ++i) // opens the breaker; two posts are still under way
        rig.https.fail(TransportError::timeout, true);
    rig.run();
    rig.pass(1000);
    REQUIRE(rig.https.open.size() == 3); // and the probe
    rig.https.fail(TransportError::timeout, true);
    rig.https.fail(TransportError::timeout, true);
    rig.run();
    rig.pass(1000);
    CHECK(rig.https.open.size() == 1);
}

TEST_CASE("a link that comes up is tried at once") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 2);
    rig.pass(60'000);
    rig.random = 0.99;
    for (int i = 0; i < 8; ++i) {
        rig.https.fail(TransportError::resolve, false);
        rig.run();
        rig.pass(60'000);
        REQUIRE(rig.https.open.size() == 1);
    }
    rig.https.fail(TransportError::resolve, false);
    rig.run();
    CHECK(rig.https.open.empty());
    rig.uploader->on_link_up();
    rig.run();
    CHECK(rig.https.open.size() == 1);
    CHECK(rig.https.renewals == 1);
}

TEST_CASE("429 and 503 pause the whole uplink for as long as they ask") {
    Rig rig;
    rig.add_device(1);
    rig.add_device(2);
    rig.read(1, 1, true);
    rig.run();
    Answer busy;
    busy.status = 503;
    busy.retry_after = "120";
    rig.https.answer(busy);
    rig.run();
    rig.read(2, 1, true);
    rig.pass(119'000);
    CHECK(rig.https.open.empty());
    rig.uploader->on_link_up();
    rig.run();
    CHECK(rig.https.open.empty());
    rig.pass(1000);
    CHECK(rig.https.open.size() == 1);
    rig.answer(202);
    CHECK(rig.https.open.size() == 1);
}

TEST_CASE("a refused device is parked alone, probed rarely with few readings, and drains when mended") {
    constexpr int status = 401;
    Rig rig;
    rig.add_device(1);
    rig.add_device(2);
    rig.read(1, 700);
    rig.read(2, 700);
    rig.run();
    auto judge = [&](const std::string& body) {
        return body.find("uuid-1:") != std::string::npos ? status : 202;
    };
    rig.serve(judge);
    rig.pass(60'000);
    rig.serve(judge);
    CHECK(rig.uploader->status(1).is_parked);
    REQUIRE(rig.alarms.size() == 1);
    CHECK(rig.alarms[0].device == 1U);
    CHECK(rig.backlog.items[2].empty());
    const std::size_t before = rig.https.bodies.size();
    for (int minute = 0; minute < 600; ++minute) {
        rig.pass(60'000);
        rig.serve(judge);
    }
    const std::size_t probes = rig.https.bodies.size() - before;
    CHECK(probes >= 10);
    CHECK(probes <= 20);
    CHECK(rig.https.bodies.back().size() < 600);
    CHECK(rig.alarms.size() == 1);
    CHECK(rig.backlog.items[1].size() == 700);
    SUBCASE("by the platform") {
        rig.pass(3'600'000);
    }
    SUBCASE("by a new secret") {
        rig.uploader->update({1, "device1", "uuid-1", Secret("another")});
        rig.run();
    }
    SUBCASE("by an operator") {
        rig.uploader->retry_now(1);
        rig.run();
    }
    rig.serve([](const auto&) { return 202; });
    rig.pass(60'000);
    rig.serve([](const auto&) { return 202; });
    CHECK(rig.backlog.left() == 0);
    CHECK_FALSE(rig.uploader->status(1).is_parked);
    CHECK(rig.recovered.size() == 1);
}

TEST_CASE("a parked device whose probe is called too large is probed no more often") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 700);
    rig.run();
    rig.serve([](const auto&) { return 401; });
    REQUIRE(rig.uploader->status(1).is_parked);
    int probes = 0;
    for (int minute = 0; minute < 60; ++minute) {
        rig.pass(60'000);
        rig.serve([&probes](const auto&) { return ++probes < 100 ? 413 : 202; });
    }
    CHECK(probes >= 2);
    CHECK(probes <= 10);
    CHECK(rig.uploader->status(1).is_parked);
}

TEST_CASE("413 halves until it fits, remembers it, and grows back slowly") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 500);
    rig.run();
    std::size_t refused = 0;
    auto judge = [&](const std::string& body) {
        refused += body.size() > 3000 ? 1 : 0;
        return body.size() > 3000 ? 413 : 202;
    };
    rig.serve(judge);
    rig.pass(60'000);
    rig.serve(judge);
    CHECK(rig.backlog.left() == 0);
    CHECK(refused <= 4);
    CHECK(rig.uploader->status(1).max_bytes <= 3000);
    for (int i = 0; i < 1000; ++i) {
        rig.read(1, 1, true);
        rig.run();
        rig.serve([](const auto&) { return 202; });
    }
    CHECK(rig.uploader->status(1).max_bytes == 16 * 1024);
    CHECK(rig.uploader->status(1).max_records == 500);
}

TEST_CASE("a reading that is too large alone becomes a dead letter") {
    Rig rig;
    rig.add_device(1);
    rig.backlog.append(1, {0, {rig.clock.wall_ms(), Stamp::Clock::wall}, std::string(5000, 'x')});
    rig.read(1, 3);
    rig.pass(60'000);
    for (int i = 0; i < 5; ++i) {
        rig.serve([](const std::string& body) { return body.size() > 3000 ? 413 : 202; });
        rig.pass(60'000);
    }
    CHECK(rig.backlog.left() == 0);
    REQUIRE(rig.backlog.dead.size() == 1);
    CHECK(rig.backlog.dead[0].second.find("413") != std::string::npos);
    CHECK(rig.backlog.accepted.size() == 3);
}

TEST_CASE("when everything is called too large hardly anything is set aside") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 200);
    for (int minute = 0; minute < 600; ++minute) { // a proxy with a limit of its own, all night
        rig.pass(60'000);
        rig.read(1);
        rig.serve([](const auto&) { return 413; });
    }
    CHECK(rig.backlog.dead.size() == 3);
    CHECK(rig.backlog.left() == 797);
    CHECK(rig.uploader->status(1).is_parked);
    REQUIRE(rig.alarms.size() == 2);
    CHECK(rig.alarms[0].kind == UploadAlarm::Kind::dead_letter);
    CHECK(rig.alarms[1].kind == UploadAlarm::Kind::device_parked);
    CHECK(rig.https.bodies.size() < 300);
    for (int minute = 0; minute < 120; ++minute) { // in the morning somebody mends it
        rig.pass(60'000);
        rig.serve([](const auto&) { return 202; });
    }
    CHECK(rig.backlog.accepted.size() == 797);
    CHECK(rig.recovered.size() == 1);
}

TEST_CASE("the one poisoned reading of a pack is found and set aside, after a second try a minute later") {
    Rig rig;
    rig.batch.max_bytes = 65'536;
    rig.make();
    rig.add_device(1);
    rig.read(1, 500);
    rig.run();
    auto judge = [](const std::string& body) {
        return has(body, 137) ? 400 : 202;
    };
    const int posts = rig.serve(judge);
    CHECK(posts <= 25);
    CHECK(rig.backlog.left() == 1);
    CHECK(rig.backlog.dead.empty());
    rig.read(1, 1, true);
    rig.run();
    rig.serve(judge); // others go on meanwhile
    CHECK(rig.backlog.left() == 1);
    const std::size_t before = rig.https.bodies.size();
    rig.pass(59'000);
    CHECK(rig.https.bodies.size() == before);
    rig.pass(1000);
    SUBCASE("that is refused again") {
        rig.serve(judge);
        REQUIRE(rig.backlog.dead.size() == 1);
        CHECK(std::get<std::int64_t>(rig.backlog.dead[0].first.value) == 137);
        CHECK(rig.backlog.dead[0].second == "400 Bad Request");
    }
    SUBCASE("that is accepted") {
        rig.serve([](const auto&) { return 202; });
        CHECK(rig.backlog.dead.empty());
        CHECK(rig.backlog.accepted.size() == 501);
    }
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.backlog.settled_twice == 0);
}

TEST_CASE("a point that is never accepted does not fill the log") {
    std::ostringstream log;
    const auto usual = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(log)));
    Rig rig;
    rig.batch.max_age = seconds(1);
    rig.make();
    rig.add_device(1);
    for (int second = 0; second < 3600; ++second) {
        rig.backlog.append(1, {0, {rig.clock.wall_ms() + second, Stamp::Clock::wall}, std::int64_t{-1}});
        rig.read(1);
        rig.pass(1000);
        rig.serve(
            [](const std::string& body) { return body.find("\"v\":-1}") == std::string::npos ? 202 : 400; });
    }
    spdlog::set_default_logger(usual);
    const std::string text = log.str();
    const auto lines = std::count(text.begin(), text.end(), '\n');
    CAPTURE(text.substr(0, 1000));
    CHECK(lines > 6);
    CHECK(lines < 6 + 60 + 10); // searches every ten minutes, dead letters every minute
    CHECK(rig.backlog.accepted.size() > 3500);
}

TEST_CASE("when the platform refuses all content nothing is thrown away, and one who waits is heard") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 500);
    rig.run();
    for (int minute = 0; minute < 300; ++minute) {
        rig.serve([](const auto&) { return 400; });
        rig.pass(60'000);
    }
    CHECK(rig.https.bodies.size() < 60);
    CHECK(rig.backlog.dead.size() < 20);
    CHECK(rig.uploader->status(1).is_parked);
    CHECK(rig.alarms.size() >= 1);
    for (int minute = 0; minute < 120; ++minute) {
        rig.serve([](const auto&) { return 202; });
        rig.pass(60'000);
    }
    CHECK(rig.backlog.accepted.size() + rig.backlog.dead.size() == 500);
    CHECK(rig.backlog.left() == 0);
}

TEST_CASE("many poisoned readings in a row do not stop the others") {
    Rig rig;
    rig.batch.max_bytes = 65'536;
    rig.make();
    rig.add_device(1);
    rig.read(1, 500);
    rig.run();
    auto judge = [](const std::string& body) {
        for (int value = 100; value < 160; ++value)
            if (has(body, value))
                return 400;
        return 202;
    };
    for (int minute = 0; minute < 30; ++minute) {
        rig.serve(judge);
        rig.pass(60'000);
    }
    CHECK(rig.backlog.accepted.size() == 440);
    CHECK(rig.backlog.dead.size() == 60);
    CHECK_FALSE(rig.uploader->status(1).is_parked);
    for (const UploadAlarm& alarm : rig.alarms)
        CHECK(alarm.kind == UploadAlarm::Kind::dead_letter);
}

TEST_CASE("redirects pause the uplink and raise an alarm") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    rig.answer(301);
    REQUIRE(rig.alarms.size() == 1);
    CHECK(rig.alarms[0].kind == UploadAlarm::Kind::misdirected);
    rig.pass(59'000);
    CHECK(rig.https.open.empty());
    rig.pass(1000);
    REQUIRE(rig.https.open.size() == 1);
    rig.answer(202);
    CHECK(rig.backlog.left() == 0);
    REQUIRE(rig.recovered.size() == 1);
    CHECK(rig.recovered[0].kind == UploadAlarm::Kind::misdirected);
}

TEST_CASE("a page in the place of the platform's answer keeps the readings and pauses the uplink") {
    Rig rig;
    rig.add_device(1);
    rig.add_device(2);
    rig.read(1, 3, true);
    rig.run();
    Answer page;
    page.status = 200;
    page.sent = true;
    page.content_type = "text/html";
    page.body = "<html><title>Log in to Hotel Wi-Fi</title></html>";
    const std::string body = rig.https.bodies.front();
    rig.https.answer(page);
    rig.run();
    CHECK(rig.backlog.accepted.empty());
    CHECK(rig.backlog.dead.empty());
    CHECK(rig.bodies.empty());
    REQUIRE(rig.alarms.size() == 1);
    CHECK(rig.alarms[0].kind == UploadAlarm::Kind::misdirected);
    CHECK(rig.alarms[0].text.find("Log in to Hotel Wi-Fi") != std::string::npos);
    CHECK(rig.uploader->totals().parked == 0);
    rig.read(2, 1, true);
    rig.pass(59'000);
    CHECK(rig.https.open.empty());
    rig.pass(1000);
    REQUIRE(rig.https.open.size() == 1);
    rig.answer(202);
    while (!rig.https.open.empty())
        rig.answer(202);
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.https.bodies[1] == body); // it may have arrived: the same bytes
    REQUIRE(rig.recovered.size() == 1);
}

TEST_CASE("when the cause of an outage changes, so do alarm and explanation") {
    Rig rig;
    rig.add_device(1);
    rig.add_device(2);
    rig.read(1, 1, true);
    rig.run();
    const auto next_probe = [&rig] {
        for (int i = 0; i < 200 && rig.https.open.empty(); ++i)
            rig.pass(1000);
        REQUIRE(rig.https.open.size() == 1);
    };
    const auto fail = [&](TransportError error, const char* detail) {
        next_probe();
        Answer answer;
        answer.error = error;
        answer.detail = detail;
        rig.https.answer(answer);
        rig.run();
    };
    for (int i = 0; i < 12; ++i)
        fail(TransportError::connect, ("refused after " + std::to_string(i) + " ms").c_str());
    REQUIRE(rig.alarms.size() == 1); // the same cause, whatever it took
    CHECK(rig.alarms.back().kind == UploadAlarm::Kind::uplink_down);
    fail(TransportError::certificate, "SSL certificate problem: certificate has expired");
    REQUIRE(rig.alarms.size() == 2);
    CHECK(rig.alarms.back().kind == UploadAlarm::Kind::uplink_down);
    CHECK(rig.alarms.back().text.find("has expired") != std::string::npos);
    CHECK(rig.uploader->explain_last(2).cause.find("expired") != std::string::npos); // not its own post
    next_probe();
    rig.answer(302);
    REQUIRE(rig.alarms.size() == 3);
    CHECK(rig.alarms.back().kind == UploadAlarm::Kind::misdirected);
    REQUIRE(rig.recovered.size() == 1); // one alarm at a time
    CHECK(rig.recovered.back().kind == UploadAlarm::Kind::uplink_down);
    fail(TransportError::resolve, "");
    REQUIRE(rig.alarms.size() == 4);
    CHECK(rig.alarms.back().kind == UploadAlarm::Kind::uplink_down);
    CHECK(rig.recovered.back().kind == UploadAlarm::Kind::misdirected);
    next_probe();
    rig.answer(202);
    CHECK(rig.recovered.back().kind == UploadAlarm::Kind::uplink_down);
    CHECK(rig.recovered.size() == 3);
}

TEST_CASE("a device that alone does not get through is told after five minutes, and its end too") {
    Rig rig;
    rig.add_device(1);
    rig.add_device(2);
    rig.read(1, 1, true);
    for (int minute = 0; minute < 10; ++minute) {
        rig.read(2, 1, true);
        rig.run();
        for (int i = 0; i < 60; ++i) {
            rig.serve([](const std::string& body) { return body.find("uuid-1") != body.npos ? 500 : 202; });
            rig.pass(1000);
        }
        CHECK(rig.alarms.size() == (minute < 5 ? 0 : 1));
    }
    CHECK(rig.alarms.back().kind == UploadAlarm::Kind::device_failing);
    CHECK(rig.alarms.back().device == 1);
    for (int i = 0; i < 70; ++i) {
        rig.serve([](const std::string&) { return 202; });
        rig.pass(1000);
    }
    REQUIRE(rig.recovered.size() == 1);
    CHECK(rig.recovered[0].kind == UploadAlarm::Kind::device_failing);
}

TEST_CASE("a pack that cannot be signed parks nobody and is told at once") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    rig.https.fail(TransportError::not_signed, false);
    rig.run();
    CHECK(rig.uploader->totals().parked == 0);
    CHECK(rig.uploader->totals().is_uplink_open);
    REQUIRE(rig.alarms.size() == 1);
    CHECK(rig.alarms[0].kind == UploadAlarm::Kind::device_failing);
    CHECK(rig.alarms[0].text.find("could not compute the token") != std::string::npos);
    rig.pass(60'000);
    REQUIRE(rig.https.open.size() == 1);
    rig.answer(202);
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.recovered.size() == 1);
}

TEST_CASE("a parked device whose backlog cannot be read does not spin") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    rig.answer(401);
    rig.backlog.move_to_backlog(1);
    rig.backlog.is_unreadable = true;
    rig.pass(3'600'000);
    const int before = rig.backlog.takes;
    for (int i = 0; i < 600; ++i)
        rig.pass(100);
    CHECK(rig.backlog.takes - before <= 61);
    rig.backlog.is_unreadable = false;
    rig.pass(1000);
    REQUIRE(rig.https.open.size() == 1);
    rig.answer(202);
    CHECK(rig.backlog.left() == 0);
}

TEST_CASE("every answer tells the platform's time, and it can be asked for alone") {
    Rig rig;
    rig.add_device(1);
    rig.uploader->ask_time();
    rig.uploader->ask_time(); // one at a time
    REQUIRE(rig.https.open.size() == 1);
    CHECK(rig.https.open[0].post.asks_time);
    CHECK(rig.https.open[0].post.token.empty());
    Answer answer;
    answer.status = 404;
    answer.is_verified = true;
    answer.date = "Tue, 14 Nov 2023 22:13:20 GMT";
    answer.duration = Milliseconds(40);
    rig.https.answer(answer);
    rig.run();
    REQUIRE(rig.dates == std::vector<std::int64_t>{1'700'000'000'000});
    CHECK(rig.uploader->totals().is_uplink_open); // no post of a device
    rig.pass(14'000);
    rig.uploader->ask_time();
    CHECK(rig.https.open.empty());
    rig.pass(1000);
    rig.uploader->ask_time();
    REQUIRE(rig.https.open.size() == 1);
    SUBCASE("not verified") {
        answer.is_verified = false;
        rig.https.answer(answer);
        rig.run();
        CHECK(rig.dates.size() == 1);
    }
    SUBCASE("no answer") {
        rig.https.fail(TransportError::resolve, false);
        rig.run();
        CHECK(rig.dates.size() == 1);
        CHECK(rig.uploader->time_problem().find("no address") != std::string::npos);
        rig.pass(59'000);
        rig.uploader->ask_time();
        CHECK(rig.https.open.empty());
    }
    SUBCASE("with a post") {
        rig.https.answer(answer);
        rig.read(1, 1, true);
        rig.run();
        answer.status = 202;
        rig.https.answer(answer);
        rig.run();
        CHECK(rig.dates.size() == 3);
    }
}

TEST_CASE("what holds a post back although an operator asks is told") {
    Rig rig;
    rig.add_device(1);
    SUBCASE("the platform asked for a pause") {
        rig.read(1, 1, true);
        rig.run();
        Answer answer;
        answer.status = 503;
        answer.sent = true;
        answer.retry_after = "300";
        rig.https.answer(answer);
        rig.run();
        rig.uploader->retry_now(1);
        rig.run();
        CHECK(rig.uploader->find_hold(1).find("503") != std::string::npos);
        CHECK(rig.uploader->find_hold(1).find("in 300 s") != std::string::npos);
    }
    SUBCASE("a quota") {
        rig.things.min_interval = seconds(300);
        rig.uploader->configure(rig.things, rig.batch);
        rig.read(1, 1, true);
        rig.run();
        rig.answer(202);
        rig.read(1, 1, true);
        rig.uploader->retry_now(1);
        rig.run();
        CHECK(rig.uploader->find_hold(1).find("things.min_interval lets") == 0);
    }
    SUBCASE("nothing") {
        rig.read(1, 1, true);
        CHECK(rig.uploader->find_hold(1).empty());
    }
}

TEST_CASE("an operator is told how the next post of a device ends") {
    Rig rig;
    rig.add_device(1);
    rig.add_device(2);
    std::vector<PostResult> results;
    const auto ask = [&] {
        rig.uploader->retry_now(1);
        rig.uploader->request_post(1);
        rig.uploader->on_next_answer(1, [&results](const PostResult& result) { results.push_back(result); });
        rig.run();
        CHECK(results.empty());
    };
    rig.read(1, 1, true);
    SUBCASE("that leaves now; once") {
        ask();
        rig.answer(202);
        REQUIRE(results.size() == 1);
        CHECK(results[0].is_accepted);
        CHECK(results[0].status == 202);
        rig.read(1, 1, true);
        rig.run();
        rig.answer(202);
        CHECK(results.size() == 1);
    }
    SUBCASE("that is refused") {
        ask();
        rig.answer(401);
        REQUIRE(results.size() == 1);
        CHECK_FALSE(results[0].is_accepted);
        CHECK(results[0].status == 401);
        CHECK(results[0].text == rig.uploader->explain_last(1).text());
    }
    SUBCASE("not the one before, although it is still on its way") {
        rig.run();
        REQUIRE(rig.https.open.size() == 1);
        rig.read(1, 1, true);
        ask();
        rig.answer(202);
        CHECK(results.empty());
        rig.read(1, 1, true); // a third one is ready when the second is answered
        rig.answer(202);
        CHECK(results.size() == 1);
    }
    SUBCASE("the one before, if no other may follow at once") {
        rig.run();
        ask();
        rig.answer(401);
        REQUIRE(results.size() == 1);
        CHECK(results[0].status == 401);
    }
    SUBCASE("another device's, if that finds the uplink down") {
        rig.things.parallel = 1;
        rig.uploader->configure(rig.things, rig.batch);
        rig.read(2, 1, true);
        rig.run();
        REQUIRE(rig.https.open.size() == 1);
        rig.answer(202); // of device 1
        REQUIRE(rig.https.open.size() == 1);
        ask(); // has to wait for its turn
        rig.https.fail(TransportError::resolve, false);
        rig.run();
        REQUIRE(results.size() == 1);
        CHECK_FALSE(results[0].is_accepted);
        CHECK(results[0].status == 0);
        CHECK(results[0].text.find("no address") != std::string::npos);
    }
    SUBCASE("but not of a device that is removed") {
        ask();
        rig.uploader->remove(1);
        rig.answer(202);
        CHECK(results.empty());
    }
}

TEST_CASE("after a redirect a new network, or an operator, is heard at once") {
    Rig rig;
    rig.add_device(1);
    rig.read(1);
    rig.pass(60'000);
    rig.answer(302);
    CHECK(rig.https.open.empty());
    SUBCASE("a captive portal let us through") {
        rig.uploader->on_link_up();
    }
    SUBCASE("send DEVICE") {
        rig.uploader->retry_now(1);
    }
    rig.run();
    REQUIRE(rig.https.open.size() == 1);
    CHECK(rig.uploader->explain_last(1).remedy.find("Correct things.url") == 0);
}

TEST_CASE("accepted with an error counts apart and is not repeated") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    Answer answer;
    answer.status = 202;
    answer.error = TransportError::broken;
    answer.body = "half a down";
    rig.https.answer(answer);
    rig.run();
    CHECK(rig.backlog.left() == 0);
    CHECK(rig.uploader->totals().accepted_with_error == 1);
    CHECK(rig.uploader->totals().packs_accepted == 1);
    CHECK(rig.bodies.empty());
    REQUIRE(rig.broken.size() == 1); // there may have been a downlink in it
    CHECK(rig.broken[0].find("202") != std::string::npos);
}

TEST_CASE("a downlink is handed over and the next one fetched, within bounds") {
    Rig rig;
    rig.fetches = true;
    rig.add_device(1);
    rig.read(1, 1, true);
    rig.run();
    int answered = 0;
    while (!rig.https.open.empty() && answered < 1000) {
        Answer answer;
        answer.status = 202;
        answer.body = "[]";
        rig.https.answer(answer);
        rig.run();
        ++answered;
    }
    CHECK(answered > 10);
    CHECK(answered < 40);
    CHECK(rig.bodies.size() == static_cast<std::size_t>(answered));
    CHECK(rig.https.bodies[1] == rig.https.bodies[0]); // nothing new to send: the newest once more
    CHECK(rig.uploader->totals().readings_accepted == 1);
    rig.pass(60'000);
    CHECK(rig.https.open.size() == 1);
}

TEST_CASE("an idle device asks for downlinks as often as it is told to") {
    Rig rig;
    rig.things.downlink_poll = minutes(5);
    rig.make();
    rig.add_device(1);
    rig.pass(3'600'000);
    CHECK(rig.https.open.empty()); // nothing to repeat yet
    rig.read(1, 1, true);
    rig.run();
    rig.answer(202);
    rig.pass(299'000);
    CHECK(rig.https.open.empty());
    rig.pass(1000);
    REQUIRE(rig.https.open.size() == 1);
    CHECK(rig.https.bodies.back() == rig.https.bodies.front());
}

TEST_CASE("a quota of messages is kept, and the packs grow instead") {
    Rig rig;
    rig.things.min_interval = seconds(288);
    rig.batch.max_records = 10;
    rig.make();
    rig.add_device(1);
    std::int64_t last = 0;
    std::size_t posts = 0;
    for (int second = 0; second < 3600; ++second) {
        rig.read(1, 1, second % 50 == 0);
        rig.pass(1000);
        if (!rig.https.open.empty()) {
            CHECK((last == 0 || rig.clock.boot - last >= 288'000));
            last = rig.clock.boot;
            ++posts;
            rig.answer(202);
        }
    }
    CHECK(posts >= 12);
    CHECK(posts <= 13);
    CHECK(rig.backlog.accepted.size() > posts * 100);
}

TEST_CASE("shutdown sends what waits, gives the rest back, and ends in time") {
    Rig rig;
    for (DeviceId id = 0; id < 12; ++id) {
        rig.add_device(id);
        rig.read(id, 3);
    }
    rig.run();
    CHECK(rig.https.open.empty());
    bool is_done = false;
    rig.uploader->shutdown(seconds(3), [&is_done] { is_done = true; });
    rig.run();
    CHECK(rig.https.open.size() == 8);
    SUBCASE("all is accepted") {
        rig.serve([](const auto&) { return 202; });
        CHECK(is_done);
        CHECK(rig.backlog.left() == 0);
    }
    SUBCASE("nobody answers") {
        rig.pass(2999);
        CHECK_FALSE(is_done);
        rig.pass(1);
        rig.run();
        CHECK(is_done);
        CHECK(rig.backlog.left() == 36);
        CHECK(rig.backlog.in_flight() == 0);
        rig.answer(202); // too late
        CHECK(rig.backlog.left() == 36);
    }
    SUBCASE("the host is gone") {
        while (!rig.https.open.empty()) {
            rig.https.fail(TransportError::connect, false);
            rig.run();
        }
        CHECK(is_done);
        CHECK(rig.backlog.in_flight() == 0);
    }
    CHECK(rig.backlog.settled_twice == 0);
}

TEST_CASE("a device can be removed while its post is under way") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 3, true);
    rig.run();
    REQUIRE(rig.https.open.size() == 1);
    rig.uploader->remove(1);
    rig.run();
    rig.answer(202);
    CHECK(rig.backlog.left() == 0);
    rig.read(1, 1, true);
    rig.pass(60'000);
    CHECK(rig.https.open.empty());
}

TEST_CASE("an uploader may go while posts are under way") {
    Rig rig;
    rig.add_device(1);
    rig.read(1, 3, true);
    rig.run();
    REQUIRE(rig.https.open.size() == 1);
    rig.uploader.reset();
    CHECK(rig.backlog.in_flight() == 0);
    rig.https.answer(202);
    rig.loop.restart();
    rig.loop.poll();
    CHECK(rig.backlog.left() == 3);
}
