// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

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
constexpr const char* waits = "waits";

bool is_same(const PlannedRequest& a, const PlannedRequest& b) {
    return a.unit == b.unit && a.table == b.table && a.span == b.span;
}

// The last retry is spent on another request, to see whether the unit is there; one at least on the same,
// which takes an answer that comes late.
int repeats(const UnitSettings& unit) {
    return std::max(unit.retries - 1, std::min(unit.retries, 1));
}

} // namespace

int ModbusSource::poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms) {
    begin(deadline_ms);
    wants_raw_ = count == 1;
    if (!open_link())
        return why_over();
    lessons_.on_time(Clock::now());
    unplaced_.clear();
    if (!find_sunspec_points(points, count))
        return why_over();
    asked_.assign(points, points + count);
    std::erase_if(asked_, [this](std::uint32_t point) {
        return std::find(unplaced_.begin(), unplaced_.end(), point) != unplaced_.end();
    });
    return run(plan_for(asked_.data(), static_cast<std::uint32_t>(asked_.size())));
}

int ModbusSource::run(const PollPlan& cached) {
    // A lesson learned on the way drops the cached one.
    PollPlan plan = cached;
    std::erase_if(plan, [](const PlannedRequest& request) { return request.is_trial; });
    std::vector<const PlannedRequest*> late;
    Next next = run_alive(plan, late);
    if (next != Next::stop)
        next = run_late(late);
    if (next != Next::stop)
        next = run_others(plan);
    if (next != Next::stop)
        next = run_trials();
    if (next != Next::stop && late.empty() && wasted_.count() == 0)
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
    std::vector<const PlannedRequest*> order, blocked;
    const auto one = [&](const PlannedRequest& request) {
        const std::uint8_t unit = unit_of(request).unit;
        if (is_late[unit]) {
            late.push_back(&request);
            return Next::go_on;
        }
        const bool alone = !has_neighbours(unit);
        const Next next = read(request, alone                           ? repeats(unit_of(request))
                                        : Clock::now() < hurried_until_ ? glance
                                                                        : no_verdict);
        if (next == Next::failed) {
            is_late[unit] = true;
            late.push_back(&request);
            units_[unit].health.doubt();
            if (!alone)
                hurried_until_ = Clock::now() + contact_share * unit_of(request).timeout;
        }
        return next == Next::stop ? Next::stop : Next::go_on;
    };
    for (const PlannedRequest& request : plan)
        order.push_back(&request);
    // What the last call did not come to goes first, or the end of a long plan would never be reached.
    if (resume_)
        std::rotate(
            order.begin(),
            std::find_if(order.begin(), order.end(),
                         [this](const PlannedRequest* request) {
                             return *resume_ <= Place{request->unit, request->table, request->span.first};
                         }),
            order.end());
    resume_.reset();
    for (const PlannedRequest* request : order) {
        if (!is_alive(*request) && !is_late[unit_of(*request).unit])
            continue;
        // An answer that is still on its way could be taken for this one: others first.
        if (bus_.clear_at(request->request(unit_of(*request))) > Clock::now())
            blocked.push_back(request);
        else if (one(*request) == Next::stop)
            return Next::stop;
    }
    for (const PlannedRequest* request : blocked)
        if (one(*request) == Next::stop)
            return Next::stop;
    return Next::go_on;
}

// Those that missed their answer a moment ago. The first that stays silent is the last that is waited for
// now. Each unit is asked the same once more, since its answer may only be late, and then for what it
// answered last: whether it is the unit that is silent, or the request. A unit alone was asked the same often
// enough.
ModbusSource::Next ModbusSource::run_late(const std::vector<const PlannedRequest*>& late) {
    std::array<bool, 256> done{};
    std::chrono::nanoseconds spent{0};
    for (const PlannedRequest* first : late) {
        const std::uint8_t unit = unit_of(*first).unit;
        UnitState& it = units_[unit];
        if (std::exchange(done[unit], true))
            continue;
        it.glanced_at = true;
        const bool is_alone = !has_neighbours(unit);
        if (it.health.state() == UnitHealth::State::dead || !(is_alone || may_wait_for(unit, spent)))
            continue;
        std::vector<const PlannedRequest*> requests;
        for (const PlannedRequest* request : late)
            if (unit_of(*request).unit == unit)
                requests.push_back(request);
        const SteadyTime now = Clock::now();
        const int same = is_alone ? 0 : repeats(unit_of(*first));
        Next next = same > 0 ? read(*first, same - 1) : Next::failed;
        if (next == Next::failed) {
            const Failure failure = failure_;
            next = ask_known(unit, *first).value_or(same > 0 ? Next::failed : Next::later);
            if (next == Next::failed)
                on_silence(*first, same > 0 ? failure : failure_);
            else if (next == Next::go_on && same > 0) {
                it.health.on_answer();
                suspect(*first, failure);
            } else if (next == Next::go_on) // the others first
                std::rotate(requests.begin(), requests.begin() + 1, requests.end());
        }
        if (same > 0)
            requests.erase(requests.begin());
        if (next == Next::stop || (next != Next::failed && read_all(requests, same) == Next::stop))
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

ModbusSource::Next ModbusSource::read_all(const std::vector<const PlannedRequest*>& requests,
                                          int silent_retries) {
    std::vector<std::pair<const PlannedRequest*, Failure>> failed;
    bool is_there = true; // answered since the last failure
    for (const PlannedRequest* request : requests) {
        const std::uint8_t unit = unit_of(*request).unit;
        if (!failed.empty() && !may_fail_again(unit)) {
            interrupted_ = true; // the rest is due again
            break;
        }
        const Next next = read(*request, silent_retries);
        if (next == Next::stop)
            return Next::stop;
        if (next == Next::later)
            continue;
        is_there = next == Next::go_on;
        if (!is_there)
            failed.emplace_back(request, failure_);
    }
    if (failed.empty())
        return Next::go_on;
    const PlannedRequest& last = *failed.back().first;
    const std::uint8_t unit = unit_of(last).unit;
    UnitState& it = units_[unit];
    if (!is_there) {
        const std::optional<Next> known = ask_known(unit, last);
        if (known == Next::stop)
            return Next::stop;
        is_there = known == Next::go_on;
        if (!is_there) {
            on_silence(last, failed.back().second);
            return Next::failed;
        }
        it.health.on_answer();
    }
    for (const auto& [request, failure] : failed)
        suspect(*request, failure);
    return Next::go_on;
}

std::optional<ModbusSource::Next> ModbusSource::ask_known(std::uint8_t unit, const PlannedRequest& failed) {
    UnitState& it = units_[unit];
    const auto is_other = [&failed](const std::optional<PlannedRequest>& request) {
        return request && !is_same(*request, failed);
    };
    std::optional<PlannedRequest> known = it.good;
    if (!is_other(known))
        known = point_probe(unit);
    if (!is_other(known))
        return std::nullopt;
    // One whose answer looks like the missing one would have to wait for that; one register less need not. A
    // refusal is an answer too.
    const bool is_blocked = bus_.clear_at(known->request(unit_of(*known))) > Clock::now();
    if (is_blocked && has_neighbours(unit) && known->span.size() > 1)
        --known->span.end;
    const Next next = read(*known, 0);
    if (next == Next::failed)
        ++it.turn;
    // One that cannot be asked for anything now is believed for what it answered a moment ago.
    return next == Next::later && was_there(it) ? Next::go_on : next;
}

// With neighbours on the line the first failure is the last that is waited for in this call.
bool ModbusSource::may_fail_again(std::uint8_t unit) const {
    return !has_neighbours(unit) && wasted_ < silent_budget;
}

bool ModbusSource::was_there(const UnitState& unit) const {
    constexpr std::chrono::seconds moment{10};
    return unit.answered_in == call_ || unit.answered_at + moment > Clock::now();
}

void ModbusSource::suspect(const PlannedRequest& request, const Failure& failure) {
    for (const PlannedPoint& planned : request.points)
        lessons_.suspect(planned.point, settings_.points[planned.point]);
    const Place place{request.unit, request.table, request.span.first};
    if (request.points.size() == 1 && std::count(failed_.begin(), failed_.end(), place) > 1)
        leave_out(request.points.front().point, request, failure);
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

// A unit that may be silent gets one short request; if it answers, all of them. Where nobody else waits
// several are tried: it may be the request that is not answered.
ModbusSource::Next ModbusSource::run_unit(const PollPlan& plan, std::uint8_t unit, Stage stage) {
    UnitState& it = units_[unit];
    it.glanced_at = true;
    const bool is_alone = std::all_of(plan.begin(), plan.end(), [&](const PlannedRequest& request) {
        return unit_of(request).unit == unit;
    });
    std::optional<Failure> first;
    PlannedRequest probe = probe_of(plan, unit);
    const PlannedRequest shortest = probe;
    Next next = read(probe, stage == Stage::glance ? glance : 0);
    std::size_t tried = 1;
    while (next == Next::failed && stage != Stage::glance) {
        ++it.turn;
        if (!first)
            first = failure_;
        if (!is_alone || wasted_ >= silent_budget || tried++ > settings_.points.size() || is_over())
            break;
        probe = probe_of(plan, unit);
        next = read(probe, 0);
    }
    if (next == Next::stop && link_failed_)
        ++it.turn; // the connection was closed for this request, perhaps: another one next time
    if (next == Next::later && first)
        next = Next::failed;
    if (next == Next::failed && first)
        on_silence(shortest, *first);
    if (next != Next::go_on)
        return next;
    it.turn = 0;
    std::vector<const PlannedRequest*> rest;
    for (const PlannedRequest& request : plan)
        if (unit_of(request).unit == unit && (probe.points.empty() || !is_same(request, probe)))
            rest.push_back(&request);
    return read_all(rest, repeats(unit_of(shortest)));
}

PlannedRequest ModbusSource::probe_of(const PollPlan& plan, std::uint8_t unit) const {
    const UnitState& it = units_[unit];
    const PlannedRequest* shortest = nullptr;
    for (const PlannedRequest& request : plan)
        if (unit_of(request).unit == unit && (!shortest || request.span.size() < shortest->span.size()))
            shortest = &request;
    if (it.turn == 0)
        return *shortest;
    if (it.turn == 1 && it.good && !is_same(*it.good, *shortest))
        return *it.good;
    return point_probe(unit).value_or(*shortest);
}

std::optional<PlannedRequest> ModbusSource::point_probe(std::uint8_t unit) const {
    std::vector<std::uint32_t> points;
    for (std::uint32_t i = 0; i < settings_.points.size(); ++i) {
        const ModbusPoint& point = settings_.points[i];
        if (settings_.units[point.unit].unit == unit && (!point.sunspec || sunspec_found_[i]))
            points.push_back(i);
    }
    if (points.empty())
        return std::nullopt;
    const std::uint32_t turn = units_[unit].turn;
    const std::size_t step = turn / 2 % points.size();
    PlannedRequest probe = alone(points[turn % 2 == 0 ? points.size() - 1 - step : step]);
    probe.points.clear();
    return probe;
}

PlannedRequest ModbusSource::alone(std::uint32_t index) const {
    const ModbusPoint& point = settings_.points[index];
    const RegisterSpan span = request_span(point.whole(), settings_.units[point.unit].limits(point.table));
    PlannedRequest request{point.unit, point.table, span, {}, true};
    request.points.push_back(
        {index, point.span.first - span.first, point.factor.value_or(span.first) - span.first});
    return request;
}

ModbusSource::Next ModbusSource::run_trials() {
    for (const std::uint32_t point : asked_) {
        if (lessons_.is_on_trial(point)) {
            if (run_trial(point) == Next::stop)
                return Next::stop;
        } else if (wants_raw_ && lessons_.is_left_out(point) && point_codes_[point]) {
            host_.report(THINGS_PROBLEM, THINGS_POINT, point, point_codes_[point], point_texts_[point]);
        }
    }
    return Next::go_on;
}

ModbusSource::Next ModbusSource::run_trial(std::uint32_t point) {
    const PlannedRequest request = alone(point);
    const std::uint8_t unit = unit_of(request).unit;
    UnitState& it = units_[unit];
    if (it.health.state() == UnitHealth::State::dead)
        report_unit(it);
    if (it.health.state() == UnitHealth::State::dead && !it.health.is_due(Clock::now()))
        return Next::go_on;
    if (has_neighbours(unit) ? Clock::now() < next_probe_ || wasted_.count() > 0 : wasted_ >= silent_budget) {
        if (point_codes_[point])
            host_.report(THINGS_PROBLEM, THINGS_POINT, point, point_codes_[point], point_texts_[point]);
        else
            point_problem(point, waits,
                          point_text(point) + ": a request that held it was not answered. It is asked alone "
                                              "as soon as the line has time for it.");
        return Next::go_on;
    }
    const SteadyTime now = Clock::now();
    Next next = read(request, lessons_.strikes(point) > 0 ? glance : 0);
    if (next != Next::failed)
        return next;
    next_probe_ = Clock::now() + probe_share * (Clock::now() - now);
    const Failure failure = failure_;
    if (it.answered_in != call_) {
        next = ask_known(unit, request).value_or(Next::failed);
        if (next == Next::failed)
            on_silence(request, failure);
        if (next != Next::go_on)
            return next;
    }
    leave_out(point, request, failure);
    return Next::go_on;
}

// What costs the line time is asked again now and then only: at most a hundredth of it, an hour at the
// longest. Something wrong that comes at once is asked for alone, behind all others.
void ModbusSource::leave_out(std::uint32_t point, const PlannedRequest& request, const Failure& failure) {
    constexpr std::chrono::seconds shortest{60}, longest{3600};
    constexpr int share = 100;
    const UnitSettings& unit = unit_of(request);
    const auto blocked = bus_.clear_after(unit.timeout);
    const auto wait =
        std::chrono::duration_cast<std::chrono::seconds>(share * std::max(failure.cost, blocked));
    const BusExplanation why = explain(failure, answered_beside(request));
    const std::string_view code = why.code;
    const bool is_cheap = failure.cost < unit.timeout / 2 && code != "timeout" && code != "closed_instead";
    was_read_[point] = false;
    std::string text = point_text(point) + ": " + why.text;
    if (!is_cheap) {
        lessons_.refuse(point, settings_.points[point], Clock::now(), std::clamp(wait, shortest, longest));
        text += " The point is left out and tried again now and then; the others are read.";
    }
    if (point_codes_[point] && std::string_view(point_codes_[point]) == waits)
        point_codes_[point] = why.code; // the reason became clear; nothing recovered in between
    point_problem(point, why.code, text);
}

std::string ModbusSource::answered_beside(const PlannedRequest& request) const {
    const ModbusPoint *before = nullptr, *behind = nullptr;
    for (std::size_t i = 0; i < settings_.points.size(); ++i) {
        const ModbusPoint& point = settings_.points[i];
        if (!was_read_[i] || settings_.units[point.unit].unit != unit_of(request).unit ||
            point.table != request.table)
            continue;
        if (point.span.end <= request.span.first && (!before || point.span.first > before->span.first))
            before = &point;
        if (point.span.first >= request.span.end && (!behind || point.span.first < behind->span.first))
            behind = &point;
    }
    return before || behind
               ? beside_text(request.table, before ? std::optional(before->span.first) : std::nullopt,
                             behind ? std::optional(behind->span.first) : std::nullopt)
               : std::string();
}

// `silent_retries` may be `no_verdict`: a silence is no failure yet, the unit is asked again after the
// others; or `glance`: the same, with a short patience.
ModbusSource::Next ModbusSource::read(const PlannedRequest& request, int silent_retries) {
    const UnitSettings& unit = unit_of(request);
    UnitState& it = units_[unit.unit];
    if (is_over()) {
        resume_ = Place{request.unit, request.table, request.span.first};
        interrupted_ = true;
        return Next::stop;
    }
    const BusRequest frame = request.request(unit);
    // Waiting for an answer that may still come is for a line without neighbours; else the next beat will do.
    const SteadyTime clear = bus_.clear_at(frame);
    const bool is_alone = !has_neighbours(unit.unit);
    const SteadyTime end = Clock::now() + std::chrono::milliseconds(deadline_ms_ - monotonic_ms());
    if (clear > Clock::now() + patience && (!is_alone || clear > end)) {
        interrupted_ = interrupted_ || is_alone;
        if (wants_raw_)
            host_.report(THINGS_NOTE, THINGS_DEVICE, it.devices.front(), waits,
                         place_text(frame) +
                             " is not asked for now: the answer to an earlier request that looks "
                             "alike may still come. Try again in some seconds.");
        return Next::later;
    }
    BusTiming timing = timing_of(unit, std::max(silent_retries, 0));
    if (silent_retries == glance)
        timing.patience = short_patience(unit);
    const SteadyTime now = Clock::now();
    const Exchange result = ask(frame, timing);
    switch (result.status) {
    case Exchange::Status::answered:
        on_answer(unit.unit);
        learn_usual(unit.unit, result.duration_us);
        it.good = {request.unit, request.table, request.span, {}, false};
        if (!request.points.empty())
            emit(request, result);
        else // asked for to see whether the unit is there
            for (std::size_t i = 0; i < settings_.points.size(); ++i)
                if (const ModbusPoint& point = settings_.points[i];
                    point.unit == request.unit && point.table == request.table &&
                    request.span.first <= point.span.first && point.span.end <= request.span.end)
                    was_read_[i] = true;
        return Next::go_on;
    case Exchange::Status::exception:
        if (is_gone_behind_gateway(result.code))
            return fail(request, {frame, result, timing, Clock::now() - now});
        on_answer(unit.unit);
        if (says_later(result.code)) {
            for (const PlannedPoint& planned : request.points) {
                const BusExplanation why = explain_exception(frame, result.code);
                point_problem(planned.point, why.code, why.text);
            }
            return Next::go_on;
        }
        return request.points.empty() ? Next::go_on : narrow(request, result.code);
    case Exchange::Status::silent:
    case Exchange::Status::damaged:
        return fail(request, {frame, result, timing, Clock::now() - now});
    case Exchange::Status::lost:
        break;
    }
    resume_ = Place{request.unit, request.table, request.span.first + 1}; // behind it
    return Next::stop;
}

ModbusSource::Next ModbusSource::fail(const PlannedRequest& request, Failure failure) {
    failed_.push_back({request.unit, request.table, request.span.first});
    wasted_ += failure.cost;
    failure_ = std::move(failure);
    return Next::failed;
}

BusExplanation ModbusSource::explain(const Failure& failure, const std::string& beside) const {
    const Exchange& result = failure.result;
    return result.status == Exchange::Status::exception
               ? explain_exception(failure.request, result.code)
               : explain_silence(failure.request, result, failure.timing, settings_.link, beside);
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
    it.answered_in = call_;
    it.turn = 0;
    it.answered_at = Clock::now();
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
    lessons_.retry(unit, settings_);
    // Where one comes back others may: a cable was plugged, a supply came on.
    for (UnitState& other : units_)
        other.health.wake(Clock::now());
    next_probe_ = Clock::now();
}

void ModbusSource::on_silence(const PlannedRequest& request, const Failure& failure) {
    const UnitSettings& unit = unit_of(request);
    UnitState& it = units_[unit.unit];
    it.health.on_silence(Clock::now(), unit.timeout, unit.backoff_max);
    it.turn = std::max(it.turn, 1U); // the next probe asks for something else
    it.trouble = explain(failure);
    report_unit(it);
}

void ModbusSource::report_unit(const UnitState& unit) {
    for (const std::uint32_t device : unit.devices)
        host_.report(THINGS_PROBLEM, THINGS_DEVICE, device, unit.trouble.code, unit.trouble.text);
}

} // namespace things
