// SPDX-License-Identifier: Apache-2.0
#include "routing/history.hpp"

#include "routing/command_run.hpp"
#include "support/fake_time.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using things::Command;
using things::CommandState;

namespace {

Command command(std::uint64_t id, std::uint64_t pack, const char* point, CommandState state,
                const char* origin = things::platform_origin) {
    Command made;
    made.id = id;
    made.pack = pack;
    made.dvnuuid = "d";
    made.point = point;
    made.state = state;
    made.origin = origin;
    return made;
}

std::string cancel_of(const std::vector<things::Resumed>& resumed, std::uint64_t id) {
    for (const auto& r : resumed)
        if (r.command.id == id)
            return r.cancel;
    return "not there";
}

} // namespace

TEST_CASE("after a restart the rest of a failed atomic downlink is dropped, and its fall-back with it") {
    const std::vector<Command> unfinished{command(2, 1, "b", CommandState::waiting),
                                          command(3, 1, "b", CommandState::waiting, things::revert_origin)};
    std::vector<Command> audit{unfinished[1], unfinished[0], command(1, 1, "a", CommandState::failed)};
    auto resumed = things::resume(unfinished, audit, true);
    CHECK(cancel_of(resumed, 2) == "not carried out: 'a' of the same downlink was not done");
    CHECK(cancel_of(resumed, 3) == "not needed: its command was not carried out");
    resumed = things::resume(unfinished, audit, false);
    CHECK(cancel_of(resumed, 2).empty());
    CHECK(cancel_of(resumed, 3).empty());
    audit.back().state = CommandState::done;
    resumed = things::resume(unfinished, audit, true);
    CHECK(cancel_of(resumed, 2).empty());
    CHECK(cancel_of(resumed, 3).empty());
}

TEST_CASE("after a restart a fall-back stays if its command wrote and none renewed it") {
    const std::vector<Command> unfinished{command(2, 1, "a", CommandState::waiting, things::revert_origin)};
    struct Case {
        CommandState own, later;
        bool stays;
    };
    for (const auto& c : {Case{CommandState::done, CommandState::refused, true},
                          Case{CommandState::failed, CommandState::expired, true},
                          Case{CommandState::done, CommandState::done, false},
                          Case{CommandState::done, CommandState::repeated, false},
                          Case{CommandState::repeated, CommandState::refused, true},
                          Case{CommandState::refused, CommandState::refused, false},
                          Case{CommandState::expired, CommandState::refused, false}}) {
        const std::vector<Command> audit{command(3, 2, "a", c.later), unfinished[0],
                                         command(1, 1, "a", c.own)};
        CHECK(cancel_of(things::resume(unfinished, audit, true), 2).empty() == c.stays);
    }
    CHECK(cancel_of(things::resume(unfinished, {}, true), 2).empty()); // unknown: the safe side
}

TEST_CASE("the previous downlink is the newest of the platform that was more than a repetition") {
    const std::vector<Command> known{command(9, 5, "", CommandState::refused),
                                     command(8, 4, "a", CommandState::repeated),
                                     command(7, 3, "a", CommandState::done, things::local_origin),
                                     command(5, 2, "b", CommandState::done),
                                     command(4, 2, "a", CommandState::done),
                                     command(6, 2, "a", CommandState::waiting, things::revert_origin),
                                     command(1, 1, "a", CommandState::done)};
    const auto previous = things::previous_pack(known);
    REQUIRE(previous.size() == 2);
    CHECK(previous[0].id == 4);
    CHECK(previous[1].id == 5);
    CHECK(things::was_taken_up(previous));
    CHECK_FALSE(things::was_taken_up({command(1, 1, "a", CommandState::refused)}));
    CHECK(things::previous_pack({}).empty());
}

TEST_CASE("the last write of a point is found whatever its origin, not what never began") {
    things::FakeTime time;
    auto done = command(1, 1, "a", CommandState::done), refused = command(2, 2, "a", CommandState::refused);
    done.ended_wall_ms = time.wall - 5'000;
    refused.ended_wall_ms = time.wall;
    const auto writes = things::last_writes({refused, done, command(3, 3, "b", CommandState::begun)}, time);
    REQUIRE(writes.size() == 1);
    CHECK(writes.at("a") == time.boot - 5'000);
}
