// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include <algorithm>

// One poll: units that answer come first, then those that missed their answer, then the silent ones, of which
// one poll tries only as many as its neighbours can bear. Once one missed its answer the others are waited
// for less long: when half a line falls silent at once, the other half must not wait for each of them in
// turn.
namespace things {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds silent_budget{3000}; // of a poll while nobody answers
constexpr int no_verdict = -1, glance = -2;
constexpr std::chrono::milliseconds shortest_glance{50};
constexpr std::chrono::milliseconds glance_budget{5000}; // of a poll
constexpr int contact_share = 4; // the same for those never heard of, which are to be reported soon
constexpr int probe_share = 16;  // silent units get a sixteenth of the line's time, while others answer
constexpr std::chrono::milliseconds patience{50};

} // namespace

int ModbusSource::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    deadline_ms_ = deadline_ms;
    interrupted_ = link_failed_ = reopened_once_ = false;
    wants_raw_ = count == 1;
    if (!open_link())
        return why_over();
    lessons_.on_time(Clock::now());
    unplaced_.clear();
    if (!find_sunspec_points(points, count))
        return why_over();
    if (unplaced_.empty())
        return run(plan_for(points, count));
    std::vector<std::uint32_t> placed(points, points + count);
    std::erase_if(placed, [this](std::uint32_t point) {
        return std::find(unplaced_.begin(), unplaced_.end(), point) != unplaced_.end();
    });
    return run(plan_for(placed.data(), static_cast<std::uint32_t>(placed.size())));
}

int ModbusSource::run(const PollPlan& cached) {
    // A lesson learned on the way drops the cached one.
    const PollPlan plan = cached; // NOLINT(performance-unnecessary-copy-initialization)
    std::vector<const PlannedRequest*> late;
    Next next = run_alive(plan, late);
    if (next != Next::stop)
        next = run_late(late);
    if (next != Next::stop)
        next = run_others(plan);
    if (next != Next::stop && late.empty())
        try_gap(plan);
    if (link_failed_)
        return THINGS_FAILED;
    return interrupted_ ? THINGS_INTERRUPTED : THINGS_OK;
}

bool ModbusSource::is_alive(const PlannedRequest& request) const {
    return units_[unit_of(request).unit].health.state() == UnitHealth::State::alive;
}

bool ModbusSource::has_neighbours(std::uint8_t unit) const {
    const UnitState* self = &units_[unit];
    return std::any_of(units_.begin(), units_.end(), [self](const UnitState& other) {
        return &other != self && other.health.state() == UnitHealth::State::alive;
    });
}

ModbusSource::Next ModbusSource::run_alive(const PollPlan& plan, std::vector<const PlannedRequest*>& late) {
    std::array<bool, 256> is_late{};
    std::vector<const PlannedRequest*> blocked;
    const auto one = [&](const PlannedRequest& request) {
        const std::uint8_t unit = unit_of(request).unit;
        if (is_late[unit]) {
            late.push_back(&request);
            return Next::go_on;
        }
        const bool alone = !has_neighbours(unit);
        const Next next = read(request, alone                           ? unit_of(request).retries
                                        : Clock::now() < hurried_until_ ? glance
                                                                        : no_verdict);
        if (next == Next::skip_unit && !alone) {
            is_late[unit] = true;
            late.push_back(&request);
            if (is_alive(request)) {
                units_[unit].health.doubt();
                hurried_until_ = Clock::now() + contact_share * unit_of(request).timeout;
            }
        }
        return next == Next::stop ? Next::stop : Next::go_on;
    };
    for (const PlannedRequest& request : plan) {
        if (!is_alive(request) && !is_late[unit_of(request).unit])
            continue;
        // An answer that is still on its way could be taken for this one: others first.
        if (bus_.clear_at(request.request(unit_of(request))) > Clock::now())
            blocked.push_back(&request);
        else if (one(request) == Next::stop)
            return Next::stop;
    }
    for (const PlannedRequest* request : blocked)
        if (one(*request) == Next::stop)
            return Next::stop;
    return Next::go_on;
}

// Those that missed their answer a moment ago. The first that stays silent is the last that is waited for
// now.
ModbusSource::Next ModbusSource::run_late(const std::vector<const PlannedRequest*>& late) {
    std::chrono::nanoseconds spent{0};
    for (const PlannedRequest* request : late) {
        UnitState& it = units_[unit_of(*request).unit];
        it.glanced_at = true;
        const bool is_doubted = it.health.state() == UnitHealth::State::unknown;
        if (it.health.state() == UnitHealth::State::dead ||
            (is_doubted && !may_wait_for(unit_of(*request).unit, spent)))
            continue;
        const SteadyTime now = Clock::now();
        if (read(*request, std::max(unit_of(*request).retries - 1, 0)) == Next::stop)
            return Next::stop;
        if (it.health.state() == UnitHealth::State::alive) {
            hurried_until_ = {};
            continue;
        }
        spent += Clock::now() - now;
        next_probe_ = Clock::now() + contact_share * (Clock::now() - now);
    }
    return Next::go_on;
}

// May a unit that may be silent be waited for, after so much was spent on others in this poll?
bool ModbusSource::may_wait_for(std::uint8_t unit, std::chrono::nanoseconds spent) const {
    return has_neighbours(unit) ? Clock::now() >= next_probe_ && spent.count() == 0 : spent < silent_budget;
}

// The not yet known and the silent. At the start of a line with many dead units the living must be found
// soon: everybody is first asked with a short patience, and those that kept silent again in full.
ModbusSource::Next ModbusSource::run_others(const PollPlan& plan) {
    std::chrono::nanoseconds spent{0};
    for (const Stage stage : {Stage::glance, Stage::contact, Stage::probe}) {
        std::array<bool, 256> done{};
        for (const PlannedRequest& request : plan) {
            const std::uint8_t unit = unit_of(request).unit;
            if (done[unit] || !is_at(stage, plan, request))
                continue;
            done[unit] = true;
            UnitState& it = units_[unit];
            const SteadyTime now = Clock::now();
            if (stage == Stage::glance && spent > glance_budget)
                continue;
            if (stage != Stage::glance && (!may_wait_for(unit, spent) || !it.health.is_due(now))) {
                if (stage == Stage::probe)
                    report_unit(it);
                continue;
            }
            if (run_unit(plan, unit, stage) == Next::stop)
                return Next::stop;
            if (it.health.state() == UnitHealth::State::alive)
                continue;
            const auto cost = Clock::now() - now;
            spent += cost;
            if (stage != Stage::glance)
                next_probe_ = Clock::now() + (stage == Stage::contact ? contact_share : probe_share) * cost;
        }
        if (stage == Stage::glance)
            spent = std::chrono::nanoseconds(0);
    }
    return Next::go_on;
}

bool ModbusSource::is_at(Stage stage, const PollPlan& plan, const PlannedRequest& request) const {
    const std::uint8_t unit = unit_of(request).unit;
    const UnitState& it = units_[unit];
    if (it.health.state() != UnitHealth::State::unknown)
        return stage == Stage::probe && it.health.state() == UnitHealth::State::dead;
    const bool alone = unit_of(plan.front()).unit == unit && unit_of(plan.back()).unit == unit;
    return stage == Stage::glance ? !it.glanced_at && !alone
                                  : stage == Stage::contact && (it.glanced_at || alone);
}

// A unit that may be silent gets one short request; if it answers, all of them.
ModbusSource::Next ModbusSource::run_unit(const PollPlan& plan, std::uint8_t unit, Stage stage) {
    const PlannedRequest* probe = nullptr;
    for (const PlannedRequest& request : plan)
        if (unit_of(request).unit == unit && (!probe || request.span.size() < probe->span.size()))
            probe = &request;
    units_[unit].glanced_at = true;
    Next next = read(*probe, stage == Stage::glance ? glance : 0);
    for (const PlannedRequest& request : plan)
        if (next == Next::go_on && &request != probe && unit_of(request).unit == unit)
            next = read(request, unit_of(request).retries);
    return next;
}

// `silent_retries` may be `no_verdict`: a silence is no failure yet, the unit is asked again after the
// others; or `glance`: the same, with a short patience.
ModbusSource::Next ModbusSource::read(const PlannedRequest& request, int silent_retries) {
    if (is_over()) {
        interrupted_ = true;
        return Next::stop;
    }
    const UnitSettings& unit = unit_of(request);
    const BusRequest frame = request.request(unit);
    // Waiting for an answer that may still come is for a line without neighbours; else the next beat will do.
    if (bus_.clear_at(frame) > Clock::now() + patience && has_neighbours(unit.unit))
        return Next::go_on;
    BusTiming timing = timing_of(unit, std::max(silent_retries, 0));
    if (silent_retries == glance)
        timing.patience = short_patience(unit);
    const Exchange result = ask(frame, timing);
    switch (result.status) {
    case Exchange::Status::answered:
        on_answer(unit.unit);
        learn_usual(unit.unit, result.duration_us);
        emit(request, result);
        return Next::go_on;
    case Exchange::Status::exception:
        if (is_gone_behind_gateway(result.code)) {
            on_silence(request, explain_exception(frame, result.code));
            return Next::skip_unit;
        }
        on_answer(unit.unit);
        if (says_later(result.code)) {
            for (const PlannedPoint& planned : request.points) {
                const BusExplanation why = explain_exception(frame, result.code);
                point_problem(planned.point, why.code, why.text);
            }
            return Next::go_on;
        }
        return narrow(request, result.code);
    case Exchange::Status::silent:
        if (silent_retries == glance || (silent_retries == no_verdict && unit.retries > 0))
            return Next::skip_unit;
        [[fallthrough]];
    case Exchange::Status::damaged:
        on_silence(request, explain_silence(frame, result, timing_of(unit, silent_retries), settings_.link));
        return Next::skip_unit;
    case Exchange::Status::lost:
        break;
    }
    return Next::stop;
}

// Long enough for a unit that was not slower of late.
std::chrono::milliseconds ModbusSource::short_patience(const UnitSettings& unit) const {
    const std::chrono::milliseconds usual(4 * units_[unit.unit].usual_us / 1000);
    return std::min(unit.timeout, std::max(shortest_glance, usual.count() > 0 ? usual : unit.timeout / 4));
}

void ModbusSource::learn_usual(std::uint8_t unit, std::uint32_t us) {
    std::uint32_t& usual = units_[unit].usual_us;
    usual = std::max(us, usual - usual / 16);
}

void ModbusSource::on_answer(std::uint8_t unit) {
    UnitState& it = units_[unit];
    if (it.health.state() == UnitHealth::State::alive)
        return;
    const int failures = it.health.failures();
    const bool was_dead = it.health.on_answer();
    if (*it.trouble.code)
        for (const std::uint32_t device : it.devices)
            host_.report(THINGS_RECOVERED, THINGS_DEVICE, device, it.trouble.code,
                         "unit " + std::to_string(unit) + " answers again after " + std::to_string(failures) +
                             " failed attempts.");
    it.trouble = {};
    if (!was_dead)
        return;
    // Where one comes back others may: a cable was plugged, a supply came on.
    for (UnitState& other : units_)
        other.health.wake(Clock::now());
    next_probe_ = Clock::now();
}

void ModbusSource::on_silence(const PlannedRequest& request, BusExplanation why) {
    const UnitSettings& unit = unit_of(request);
    UnitState& it = units_[unit.unit];
    it.health.on_silence(Clock::now(), unit.timeout, unit.backoff_max);
    report_silence(request, std::move(why));
}

void ModbusSource::report_silence(const PlannedRequest& request, BusExplanation why) {
    UnitState& it = units_[unit_of(request).unit];
    it.trouble = std::move(why);
    report_unit(it);
}

void ModbusSource::report_unit(const UnitState& unit) {
    for (const std::uint32_t device : unit.devices)
        host_.report(THINGS_PROBLEM, THINGS_DEVICE, device, unit.trouble.code, unit.trouble.text);
}

} // namespace things
