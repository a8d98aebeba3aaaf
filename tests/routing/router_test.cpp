// SPDX-License-Identifier: Apache-2.0
#include "routing/router.hpp"

#include "routing/command_run.hpp"
#include "support/routing_site.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <string>
#include <vector>

using namespace std::chrono_literals;
using things::CommandState;
using things::Site;
using things::Value;
using Transcript = std::vector<std::string>;

TEST_CASE("a downlink is stored, written, read back and told") {
    Site site;
    site.point("pump").writable->outcome = "pump_outcome";
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.bus.transcript == Transcript{"write boiler/pump true", "read boiler/pump"});
    CHECK(site.last().state == CommandState::done);
    CHECK(site.last().origin == "platform");
    CHECK(site.last().before == Value(false));
    CHECK(site.last().after == Value(true));
    CHECK(site.last().verdict == "true written and read back, was false");
    REQUIRE(site.outcomes.size() == 2);
    CHECK(site.outcomes[0].name == "pump");
    CHECK(site.outcomes[0].value == Value(true));
    CHECK(site.outcomes[0].stamp == things::Stamp{site.time.wall, things::Stamp::Clock::wall});
    CHECK(site.outcomes[1].name == "pump_outcome");
    CHECK(site.outcomes[1].value == Value(std::string("true written and read back, was false")));
    CHECK(site.outcomes[0].urgent); // its post also brings the next downlink
    site.time.pass(10s);
    CHECK(site.fetches.empty());
    CHECK(site.router->counts().done == 1);
}

TEST_CASE("nothing reaches the bus before the store has it, and no write before begun is stored") {
    Site site;
    site.store.is_deferred = true;
    site.start();
    int commits = 0;
    site.store.on_write = [&commits] {
        ++commits;
    };
    std::vector<int> commits_before;
    site.bus.on_write = [&] {
        const auto& command = site.at(commits_before.size() + 1);
        CHECK(command.state == CommandState::begun);
        commits_before.push_back(commits);
    };
    // What may begin at once is stored as begun: a commit less before its write. The next one is not yet.
    site.answer(R"({"n":"pump","vb":true},{"n":"mode","v":1})");
    CHECK(site.bus.transcript.empty());
    CHECK(site.at(1).state == CommandState::begun);
    CHECK(site.at(2).state == CommandState::waiting);
    CHECK(site.fetches.empty());
    site.store.answer();
    CHECK(commits_before == std::vector<int>{1, 3});
    CHECK(site.at(1).state == CommandState::done);
    CHECK(site.at(2).state == CommandState::done);
    SUBCASE("not while another is being stored") {
        site.answer(R"({"n":"pump","vb":false})");
        site.answer(R"({"n":"mode","v":0})");
        CHECK(site.at(3).state == CommandState::begun);
        CHECK(site.at(4).state == CommandState::waiting);
    }
    SUBCASE("not what waits for its time") {
        site.answer(R"({"n":"pump","vb":false,"t":1})");
        CHECK(site.at(3).state == CommandState::waiting);
    }
    SUBCASE("not where a step is to be measured first") {
        site.point("setpoint").writable->max_step = 5;
        site.router->update(site.config);
        site.answer(R"({"n":"setpoint","v":22})");
        CHECK(site.at(3).state == CommandState::waiting);
    }
    SUBCASE("nor when the gateway stops in between: then it waits for the next start") {
        site.answer(R"({"n":"pump","vb":false})");
        site.router->stop();
        site.store.answer();
        CHECK(site.at(3).state == CommandState::waiting);
        site.kill();
        site.start();
        site.store.answer();
        CHECK(site.at(3).state == CommandState::done);
    }
}

TEST_CASE("what is under way when the gateway stops is verified at the next start, not given up") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    site.router->stop();
    site.bus.broken = {"boiler"}; // the sources stop: it was written, and cannot be read back any more
    site.bus.answer();
    CHECK(site.at(1).state == CommandState::begun);
    CHECK(site.outcomes.empty());
    site.kill();
    site.bus.is_deferred = false;
    site.bus.broken.clear();
    site.start();
    CHECK(site.at(1).state == CommandState::done);
    CHECK(site.bus.writes.size() == 1);
}

TEST_CASE("a flash that refuses does not lock the plant") {
    Site site;
    site.store.is_flash_good = false;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.bus.held["boiler/pump"] == Value(true));
}

TEST_CASE("a refused downlink touches nothing, is in the audit and fetches the next") {
    Site site;
    site.point("setpoint").writable->outcome = "setpoint_outcome";
    site.start();
    site.answer(R"({"n":"setpoint","v":31})");
    CHECK(site.bus.transcript.empty());
    CHECK(site.last().state == CommandState::refused);
    CHECK(site.last().verdict == "refused: 31 Cel is above its maximum 30 Cel");
    REQUIRE(site.outcomes.size() == 1);
    CHECK(site.outcomes[0].value == Value(std::string("refused: 31 Cel is above its maximum 30 Cel")));
    CHECK(site.outcomes[0].urgent);
    CHECK(site.fetches.empty());
}

TEST_CASE("records run in order, one after the other, and labels are written as their raw value") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"setpoint","v":21.5},{"n":"pump","vb":true},{"n":"mode","vs":"on"})");
    CHECK(site.bus.transcript == Transcript{"write boiler/setpoint 21.5"});
    site.bus.answer();
    CHECK(site.bus.transcript == Transcript{"write boiler/setpoint 21.5", "read boiler/setpoint",
                                            "write boiler/pump true", "read boiler/pump",
                                            "write boiler/mode 1", "read boiler/mode"});
    CHECK(site.last().verdict == "on (1) written and read back, was off (0)");
}

TEST_CASE("a value that reads back otherwise") {
    Site site;
    site.start();
    SUBCASE("is reported as failed") {
        site.bus.ignored_writes = 1;
        site.answer(R"({"n":"setpoint","v":22})");
        CHECK(site.last().state == CommandState::failed);
        CHECK(site.last().verdict == "22 Cel was written, but it reads back 20 Cel");
        CHECK(site.bus.writes.size() == 1);
        REQUIRE(site.outcomes.size() == 1);
        CHECK(site.outcomes[0].value == Value(20.0));
    }
    SUBCASE("is written once more where the point allows") {
        site.point("setpoint").writable->retry = true;
        site.router->update(site.config);
        site.bus.ignored_writes = 1;
        site.answer(R"({"n":"setpoint","v":22})");
        CHECK(site.last().state == CommandState::done);
        CHECK(site.bus.writes.size() == 2);
        site.bus.ignored_writes = 5;
        site.answer(R"({"n":"setpoint","v":23})");
        CHECK(site.last().state == CommandState::failed);
        CHECK(site.last().verdict == "23 Cel was written twice, but it reads back 22 Cel");
        CHECK(site.bus.writes.size() == 4);
    }
    SUBCASE("is what the plugin rounded it to: done") {
        site.bus.becomes["boiler/setpoint"] = 21.3;
        site.answer(R"({"n":"setpoint","v":21.34})");
        CHECK(site.last().state == CommandState::done);
        CHECK(site.last().verdict == "21.3 Cel written and read back, was 20 Cel");
    }
    SUBCASE("is a label: done") {
        site.bus.reads_as["boiler/mode"] = std::string("on");
        site.answer(R"({"n":"mode","v":1})");
        CHECK(site.last().state == CommandState::done);
    }
}

TEST_CASE("a write that fails is read back all the same") {
    Site site;
    site.start();
    site.bus.broken = {"boiler"};
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.last().state == CommandState::failed);
    CHECK(site.last().verdict ==
          "writing true failed: no answer from unit 1 within 500 ms; it cannot be read back either");
    CHECK(site.outcomes.empty());
}

TEST_CASE("a write whose answer was lost goes out once; what is read back decides") {
    Site site;
    site.bus.losing = {"boiler"};
    SUBCASE("it was done") {
        site.start();
        site.answer(R"({"n":"pump","vb":true})");
        CHECK(site.last().state == CommandState::done);
        CHECK(site.last().verdict == "the answer was lost; read back true: done, was false");
    }
    SUBCASE("it was not done, or has undone itself as a pulse does") {
        site.bus.reads_as = {{"boiler/pump", false}};
        site.start();
        site.answer(R"({"n":"pump","vb":true})");
        CHECK(site.last().state == CommandState::failed);
        CHECK(site.last().verdict == "the answer was lost; read back false and not true, not repeated; no "
                                     "answer from unit 1 within 500 ms");
    }
    SUBCASE("a point that is never read back is not sent again either, nor after a restart") {
        site.point("pump").write_only = true;
        site.bus.silent = {"boiler"};
        site.start();
        site.answer(R"({"n":"pump","vb":true})");
        site.kill();
        site.bus.silent.clear();
        site.start();
        CHECK(site.last().state == CommandState::failed);
        CHECK(site.last().verdict ==
              "the gateway went down while true was written; whether it was done is not "
              "known, and it is not repeated");
        site.answer(R"({"n":"pump","vb":false})");
        CHECK(site.last().verdict == "the answer to writing false was lost: no answer from unit 1 within 500 "
                                     "ms; whether it was done is "
                                     "not known, and it is not repeated");
        CHECK(site.bus.transcript == Transcript{"write boiler/pump true", "write boiler/pump false"});
        return;
    }
    CHECK(site.bus.writes.size() == 1);
}

TEST_CASE("with retry a write whose answer was lost may go out once more") {
    Site site;
    site.bus.losing = {"boiler"};
    site.point("pump").writable->retry = true;
    SUBCASE("after another value was read back") {
        site.bus.reads_as = {{"boiler/pump", false}};
    }
    SUBCASE("where nothing can be read") {
        site.point("pump").write_only = true;
    }
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.bus.writes.size() == 2);
    CHECK(site.last().state == CommandState::failed);
}

TEST_CASE(
    "what cannot be read, and a pulse, are done when acknowledged, and the rest of the downlink goes on") {
    Site site;
    site.point("pump").writable->momentary = true;
    site.point("mode").write_only = true;
    site.start();
    site.answer(R"({"n":"pump","vb":true},{"n":"mode","v":1},{"n":"setpoint","v":22})");
    CHECK(site.bus.transcript == Transcript{"write boiler/pump true", "write boiler/mode 1",
                                            "write boiler/setpoint 22", "read boiler/setpoint"});
    CHECK(site.at(1).verdict == "true written and acknowledged, not read back");
    CHECK(site.at(2).verdict == "on (1) written and acknowledged, not read back");
    for (const std::uint64_t id : {1, 2, 3})
        CHECK(site.at(id).state == CommandState::done);
}

TEST_CASE("equal refusals are one line of the audit, with a count") {
    Site site;
    site.start();
    for (int i = 0; i < 50; ++i) {
        site.answer(R"({"n":"setpoint","v":31},{"n":"x","v":1},{"n":"y","v":2},{"n":"z","v":3})");
        site.time.pass(2s);
    }
    REQUIRE(site.store.commands.size() == 2);
    CHECK(site.at(1).verdict.find("refused: 31 Cel is above its maximum 30 Cel (") == 0);
    CHECK(site.at(1).verdict.find(" times, the last at 2023-11-14 22:1") != std::string::npos);
    CHECK(site.at(2).point == "x");
    CHECK(site.at(2).verdict.find("refused: the device has no such point; nor 2 more: y, z (") == 0);
    CHECK(site.router->counts().refused == 200);
}

TEST_CASE("reading back waits for the point to settle") {
    Site site;
    site.point("pump").writable->settle = 2s;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.bus.transcript == Transcript{"write boiler/pump true"});
    site.time.pass(1999ms);
    CHECK(site.bus.transcript.size() == 1);
    site.time.pass(1ms);
    CHECK(site.last().state == CommandState::done);
}

TEST_CASE("the largest step is measured before the write") {
    Site site;
    site.point("setpoint").writable->max_step = 5;
    site.start();
    SUBCASE("small enough") {
        site.answer(R"({"n":"setpoint","v":25})");
        CHECK(site.bus.transcript ==
              Transcript{"read boiler/setpoint", "write boiler/setpoint 25", "read boiler/setpoint"});
    }
    SUBCASE("too large") {
        site.answer(R"({"n":"setpoint","v":26})");
        CHECK(site.bus.writes.empty());
        CHECK(site.last().state == CommandState::refused);
        CHECK(site.last().verdict == "refused: the step from 20 Cel to 26 Cel is larger than 5");
    }
    SUBCASE("not to be measured") {
        site.bus.held.erase("boiler/setpoint");
        site.answer(R"({"n":"setpoint","v":21})");
        CHECK(site.bus.writes.empty());
        CHECK(site.last().state == CommandState::refused);
    }
    SUBCASE("too large in a downlink of two: neither is written") {
        site.answer(R"({"n":"pump","vb":true},{"n":"setpoint","v":26})");
        CHECK(site.bus.writes.empty());
        CHECK(site.at(1).state == CommandState::refused);
        CHECK(site.at(1).verdict == "not carried out: 'setpoint' of the same downlink was not done");
        CHECK(site.at(2).state == CommandState::refused);
    }
    SUBCASE("never told, in a downlink of two: neither is written") {
        site.bus.silent.insert("boiler");
        site.answer(R"({"n":"pump","vb":true},{"n":"setpoint","v":21})");
        site.time.pass(things::bus_patience);
        CHECK(site.bus.writes.empty());
        CHECK(site.at(2).state == CommandState::refused);
        CHECK(site.at(2).verdict.find("cannot be read: no answer within") != std::string::npos);
    }
    SUBCASE("in two steps of one downlink") {
        site.answer(R"({"n":"setpoint","v":25},{"n":"setpoint","v":30})");
        CHECK(site.bus.writes.size() == 2);
        CHECK(site.bus.held["boiler/setpoint"] == Value(std::int64_t{30}));
    }
}

TEST_CASE("the rest of an atomic downlink is not carried out when one part fails") {
    Site site;
    site.bus.ignored_writes = 1;
    const char* const asked = R"({"n":"pump","vb":true},{"n":"setpoint","v":22})";
    SUBCASE("atomic") {
        site.start();
        site.answer(asked);
        CHECK(site.at(1).state == CommandState::failed);
        CHECK(site.at(2).state == CommandState::refused);
        CHECK(site.bus.writes.size() == 1);
    }
    SUBCASE("each") {
        site.config.devices[0].commands = things::CommandMode::each;
        site.start();
        site.answer(asked);
        CHECK(site.at(1).state == CommandState::failed);
        CHECK(site.at(2).state == CommandState::done);
    }
}

TEST_CASE("a command waits for its time and not beyond its ttl") {
    Site site;
    site.point("setpoint").writable->ttl = 10s;
    site.start();
    SUBCASE("relative") {
        site.answer(R"({"n":"pump","vb":true,"t":30})");
        site.time.pass(29'999ms);
        CHECK(site.bus.writes.empty());
        site.time.pass(1ms);
        CHECK(site.bus.writes.size() == 1);
    }
    SUBCASE("absolute") {
        site.answer(R"({"n":"pump","vb":true,"t":1700000090})");
        site.time.pass(89s);
        CHECK(site.bus.writes.empty());
        site.time.pass(1s);
        CHECK(site.bus.writes.size() == 1);
    }
    SUBCASE("a later downlink is not held up by an earlier one whose time has not come") {
        site.answer(R"({"n":"pump","vb":true,"t":30})");
        site.answer(R"({"n":"setpoint","v":22})");
        CHECK(site.bus.writes.size() == 1);
        site.time.pass(30s);
        CHECK(site.bus.writes.size() == 2);
    }
    SUBCASE("behind a hanging device it expires, and is told so at its time") {
        site.bus.silent = {"boiler"};
        site.answer(R"({"n":"pump","vb":true})");
        site.answer(R"({"n":"setpoint","v":22})");
        CHECK(site.bus.writes.size() == 1);
        site.time.pass(10s);
        CHECK(site.at(2).state == CommandState::waiting);
        site.time.pass(1ms);
        CHECK(site.at(2).state == CommandState::expired);
        site.time.pass(60s);
        CHECK(site.at(1).state == CommandState::failed);
        CHECK(site.bus.writes.size() == 1);
    }
}

TEST_CASE("a write tells the bus until when it may begin") {
    Site site;
    site.point("pump").writable->ttl = 5s;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.bus.writes.at(0).not_after_boot_ms == site.time.boot + 5'000);
    site.answer(R"({"n":"setpoint","v":22})");
    CHECK(site.bus.writes.at(1).not_after_boot_ms == site.time.boot + 30'000); // when it is given up
}

TEST_CASE("an answer that comes after it was given up is dropped") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    site.time.pass(30s);
    CHECK(site.bus.transcript.size() == 2); // it was given up and is read back
    site.bus.answer();
    CHECK(site.last().state == CommandState::done);
    CHECK(site.last().verdict == "the answer was lost; read back true: done, was false");
    CHECK(site.bus.writes.size() == 1);
}

TEST_CASE("the same downlink again is not carried out, and its outcome is sent again") {
    Site site;
    site.point("pump").writable->outcome = "pump_outcome";
    site.start();
    const char* const asked = R"({"n":"pump","vb":true})";
    site.answer(asked);
    site.outcomes.clear();
    SUBCASE("within its window") {
        site.time.pass(4min);
        site.answer(asked);
        CHECK(site.bus.writes.size() == 1);
        CHECK(site.last().state == CommandState::repeated);
        REQUIRE(site.outcomes.size() == 2);
        CHECK(site.outcomes[0].value == Value(true));
        CHECK(std::get<std::string>(site.outcomes[1].value) ==
              "the same as 240 s ago, not repeated; then: true written and read back, was false");
        CHECK(site.router->counts().repeated == 1);
        CHECK(site.fetches.empty());
        site.time.pass(61s); // five minutes after the one that was carried out, not after its repetition
        site.answer(asked);
        CHECK(site.bus.writes.size() == 2);
    }
    SUBCASE("after something else it is a new one") {
        site.answer(R"({"n":"pump","vb":false})");
        site.answer(asked);
        CHECK(site.bus.writes.size() == 3);
    }
    SUBCASE("after an answer that was no downlink it is still the same") {
        site.router->on_answer("boiler", "<html>");
        site.answer(asked);
        CHECK(site.bus.writes.size() == 1);
    }
    SUBCASE("after a restart it is still the same") {
        site.kill();
        site.time.reboot(30s);
        site.start();
        site.answer(asked);
        CHECK(site.bus.writes.size() == 1);
        CHECK(site.last().state == CommandState::repeated);
    }
    SUBCASE("a window of 0 means that each counts") {
        site.point("pump").writable->repeat_window = 0s;
        site.router->update(site.config);
        site.answer(asked);
        CHECK(site.bus.writes.size() == 2);
    }
    SUBCASE("min_interval does not turn the repetition into a refusal") {
        site.point("pump").writable->min_interval = 60s;
        site.router->update(site.config);
        site.answer(asked);
        CHECK(site.last().state == CommandState::repeated);
        site.answer(R"({"n":"pump","vb":false})");
        CHECK(site.last().state == CommandState::refused);
    }
}

TEST_CASE("the same downlink while the first still runs adds nothing") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    site.answer(R"({"n":"pump","vb":true})");
    site.bus.answer();
    CHECK(site.bus.transcript == Transcript{"write boiler/pump true", "read boiler/pump"});
    CHECK(site.outcomes.size() == 1);
}

TEST_CASE("what was refused before is looked at anew") {
    Site site;
    site.config.writes = false;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.last().verdict == "refused: writes are switched off");
    site.config.writes = true;
    site.router->update(site.config);
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.last().state == CommandState::done);
}

TEST_CASE("downlinks are fetched until there is none, but never in a storm") {
    Site site;
    site.start();
    for (int i = 0; i < 1000; ++i)
        site.answer(R"({"n":"setpoint","v":)" + std::to_string(6 + i % 20) + "}");
    const auto urgent = std::count_if(site.outcomes.begin(), site.outcomes.end(),
                                      [](const auto& outcome) { return outcome.urgent; });
    CHECK(site.fetches.size() + static_cast<std::size_t>(urgent) == 30);
    site.time.pass(60s); // whatever fetched one more is answered with nothing
    CHECK(site.fetches.size() + static_cast<std::size_t>(urgent) == 31);
    CHECK(site.router->counts().downlinks == 1000);
}

TEST_CASE("a downlink that the platform hands out again and again is told, but not in a storm") {
    Site site;
    site.start();
    for (int i = 0; i < 1000; ++i)
        site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.bus.writes.size() == 1);
    CHECK(std::count_if(site.outcomes.begin(), site.outcomes.end(),
                        [](const auto& outcome) { return outcome.urgent; }) <= 30);
}

TEST_CASE("a downlink whose outcome does not come soon does not hold up the next") {
    Site site;
    site.bus.silent.insert("boiler");
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    CHECK(site.fetches.empty());
    site.time.pass(2s);
    CHECK(site.fetches == Transcript{"boiler"});
}

TEST_CASE("a device that hangs does not hold up another") {
    Site site;
    auto other = site.config.devices.front();
    other.name = "cooler";
    other.dvnuuid = "11111111-4a57-4d0b-9c3e-2f8a1d7e5b40";
    site.config.devices.push_back(other);
    site.bus.silent = {"boiler"};
    site.bus.held["cooler/pump"] = false;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    site.router->on_answer("cooler", R"([{"n":"pump","vb":true}])");
    CHECK(site.last().device == "cooler");
    CHECK(site.last().state == CommandState::done);
    CHECK(site.at(1).state == CommandState::begun);
}

TEST_CASE("a reload keeps what runs and judges what waits") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"setpoint","v":25})");
    site.answer(R"({"n":"setpoint","v":26})");
    SUBCASE("limits that became tighter") {
        site.point("setpoint").writable->max = 24;
        site.router->update(site.config);
        site.bus.answer();
        CHECK(site.at(1).state == CommandState::done);
        CHECK(site.at(2).verdict == "refused: 26 Cel is above its maximum 24 Cel");
    }
    SUBCASE("a device that is gone") {
        site.config.devices.clear();
        site.router->update(site.config);
        site.bus.answer();
        CHECK(site.at(1).state == CommandState::done);
        CHECK(site.at(2).verdict == "refused: the device is no longer configured");
    }
}

TEST_CASE("stopping begins nothing, keeps what arrives, and finishes what runs") {
    Site site;
    site.bus.is_deferred = true;
    site.start();
    site.answer(R"({"n":"pump","vb":true})");
    site.router->stop();
    site.answer(R"({"n":"setpoint","v":22})");
    site.bus.answer();
    CHECK(site.at(1).state == CommandState::done);
    CHECK(site.at(2).state == CommandState::waiting);
    site.kill();
    site.time.pass(10s);
    site.bus.is_deferred = false;
    site.start();
    CHECK(site.at(2).state == CommandState::done);
}

TEST_CASE("a write by hand takes the same path") {
    Site site;
    site.start();
    std::vector<std::pair<std::string, bool>> told;
    const auto write = [&site, &told](const char* device, const char* point, const char* text) {
        site.router->write_local(device, point, text,
                                 [&told](const std::string& words, things::LocalEnd end) {
                                     told.emplace_back(words, end == things::LocalEnd::done);
                                 });
    };
    SUBCASE("carried out") {
        write("boiler", "pump", "on");
        CHECK(told == std::vector<std::pair<std::string, bool>>{
                          {"pump: true written and read back, was false", true}});
        CHECK(site.last().origin == "local");
        CHECK(site.outcomes.size() == 1);
        CHECK(site.fetches.empty());
        write("boiler", "pump", "on"); // somebody at the keyboard means it
        CHECK(site.bus.writes.size() == 2);
    }
    SUBCASE("refused") {
        write("boiler", "setpoint", "99");
        write("boiler", "temperature", "99");
        write("boiler", "nothing", "99");
        write("cooler", "pump", "on");
        CHECK(told == std::vector<std::pair<std::string, bool>>{
                          {"setpoint: refused: 99 Cel is above its maximum 30 Cel", false},
                          {"temperature: refused: it is read only", false},
                          {"'boiler' has no point 'nothing'", false},
                          {"there is no device 'cooler'", false}});
        CHECK(site.bus.writes.empty());
        CHECK(site.store.commands.size() == 2);
    }
    SUBCASE("does not count as the platform's previous downlink") {
        site.answer(R"({"n":"pump","vb":true})");
        write("boiler", "pump", "off");
        site.answer(R"({"n":"pump","vb":true})");
        CHECK(site.last().state == CommandState::repeated);
        CHECK(site.bus.held["boiler/pump"] == Value(false));
    }
    SUBCASE("not while stopping") {
        site.router->stop();
        write("boiler", "pump", "on");
        CHECK(told.at(0).second == false);
    }
}

TEST_CASE("bodies that are no downlink leave a bounded trace and fetch nothing") {
    Site site;
    site.start();
    for (int i = 0; i < 1000; ++i)
        site.router->on_answer("boiler", "<html>Bad gateway</html>");
    site.router->on_answer("boiler", "");
    site.router->on_answer("boiler", "[]");
    site.router->on_answer("unknown", R"([{"n":"pump","vb":true}])");
    site.router->on_answer(
        "boiler", R"([{"bn":"urn:dev:DVNUUID:00000000-0000-4000-8000-000000000000:","n":"pump","vb":true}])");
    CHECK(site.store.commands.size() == 10);
    CHECK(site.at(1).verdict == "refused: not a SenML pack: it does not begin with '['");
    CHECK(site.router->counts().malformed == 1000);
    CHECK(site.router->counts().foreign == 1);
    CHECK(site.fetches.empty());
    CHECK(site.bus.transcript.empty());
}

TEST_CASE("an answer that broke off is in the audit, for there may have been a downlink in it") {
    Site site;
    site.start();
    site.router->on_broken_answer("boiler", "202 Accepted, then more than 65536 bytes");
    site.router->on_broken_answer("unknown", "202 Accepted, then more than 65536 bytes");
    REQUIRE(site.store.commands.size() == 1);
    CHECK(site.last().verdict == "refused: 202 Accepted, then more than 65536 bytes");
    CHECK(site.router->counts().malformed == 1);
    CHECK(site.fetches.empty());
}

TEST_CASE(
    "what is asked of a device that left the configuration is refused in the audit, not lost in silence") {
    Site site;
    site.start();
    site.router->on_late_answer("00000000-0000-4000-8000-000000000000", "[]");
    CHECK(site.store.commands.empty());
    site.router->on_late_answer(
        "00000000-0000-4000-8000-000000000000",
        R"([{"bn":"urn:dev:DVNUUID:00000000-0000-4000-8000-000000000000:","n":"pump","vb":true}])");
    REQUIRE(site.store.commands.size() == 1);
    CHECK(site.last().dvnuuid == "00000000-0000-4000-8000-000000000000");
    CHECK(site.last().state == CommandState::refused);
    CHECK(site.last().verdict == "refused: the configuration no longer has this device");
    CHECK(site.router->counts().malformed == 0);
    CHECK(site.fetches.empty());
    CHECK(site.bus.transcript.empty());
}

TEST_CASE("a device with too many waiting commands takes no more") {
    Site site;
    site.start();
    for (int i = 0; i < 300; ++i)
        site.answer(R"({"n":"setpoint","v":)" + std::to_string(6 + i % 20) +
                    ",\"t\":" + std::to_string(60 + i) + "}");
    CHECK(site.router->counts().waiting == 200);
    CHECK(site.last().verdict.find("refused: too many commands of this device wait already") == 0);
}
