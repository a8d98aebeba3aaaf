// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/request_reader.hpp"
#include "modbus/sunspec_walk.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

// The order in which a poll asks, and how much of the line's time each unit gets: units that answer come
// first, then those that missed their answer, then the silent ones. Owned by the source, used on its thread.
namespace things {

/// A silence costs all other devices of the line their time, so whatever waits is put behind what answers.
/// A request that fails while its unit answers another one is a fault of the request: it is suspected, its
/// points are asked one by one after all others, and what fails again is left out for a while.
class UnitPolls {
public:
    UnitPolls(const ModbusSettings& settings, SourceLine& line, UnitStates& units, RegisterLessons& lessons,
              PointReports& reports, RequestReader& reader, const SunspecWalk& sunspec);
    /// One request after the other until all were sent or the line's call is over. `asked`: the points of the
    /// plan.
    void run(const PollPlan& plan, const std::vector<std::uint32_t>& asked);

private:
    using Next = RequestReader::Next;
    using Failure = RequestReader::Failure;
    using Place = RequestReader::Place;
    using Requests = std::vector<const PlannedRequest*>;
    /// How units that are not known to live are asked.
    /// glance: at least 50 ms, or four times what it used to take. contact: a full timeout, at a quarter of
    /// the line's time. probe: a full timeout, at a sixteenth. Where nobody answers a poll spends 3 s on the
    /// silent instead.
    enum class Stage : std::uint8_t { glance, contact, probe };

    /// Gives what missed its answer to `late`: those are asked again when all others had their turn.
    Next run_alive(const PollPlan& plan, Requests& late);
    [[nodiscard]] Requests in_order(const PollPlan& plan);
    /// The units of `late` a second time, with the rest of their retries.
    Next run_late(const Requests& late);
    /// The unknown and the dead, stage by stage, as far as the line's time allows.
    Next run_others(const PollPlan& plan);
    Next run_unit(const PollPlan& plan, std::uint8_t unit, Stage stage);
    [[nodiscard]] bool is_at(Stage stage, const PollPlan& plan, const PlannedRequest& request) const;
    /// Requests of one unit, one after the other. What fails while the unit answers others is suspected; if
    /// it answers nothing more, it is silent.
    Next read_all(const Requests& requests, int silent_retries);
    /// Points that are asked alone, since they or their neighbours were not answered.
    Next run_trials(const std::vector<std::uint32_t>& asked);
    Next run_trial(std::uint32_t point);
    /// Asks for what the unit answered last, or for one of its points where `failed` asked for just that.
    /// Nothing: there is nothing else to ask for.
    std::optional<Next> ask_known(std::uint8_t unit, const PlannedRequest& failed);
    /// A request that may find out whether a unit is there: at the first turn the shortest of the plan, then
    /// what it answered last, then its points, from both ends.
    [[nodiscard]] PlannedRequest probe_of(const PollPlan& plan, std::uint8_t unit) const;
    [[nodiscard]] std::optional<PlannedRequest> point_probe(std::uint8_t unit) const;
    [[nodiscard]] bool may_fail_again(std::uint8_t unit) const;
    [[nodiscard]] bool may_wait_for(std::uint8_t unit, std::chrono::nanoseconds spent) const;
    /// At most one request a poll, and one every 10 s.
    void try_gap(const PollPlan& plan);
    [[nodiscard]] const UnitSettings& unit_of(const PlannedRequest& request) const {
        return settings_.units[request.unit];
    }

    const ModbusSettings& settings_;
    SourceLine& line_;
    UnitStates& units_;
    RegisterLessons& lessons_;
    PointReports& reports_;
    RequestReader& reader_;
    const SunspecWalk& sunspec_;
    SteadyTime hurried_until_{}; ///< someone fell silent: until then the others are waited for less long
    SteadyTime next_gap_trial_{};
    std::uint64_t polls_ = 0;
};

} // namespace things
