// SPDX-License-Identifier: Apache-2.0
#include "modbus/unit_polls.hpp"

#include <algorithm>
#include <array>
#include <utility>

// One poll asks of the silent only as many as their neighbours can bear. Once one missed its answer the
// others are waited for less long: when half a line falls silent at once, the other half must not wait for
// each of them in turn.
namespace things {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds silent_budget{3000}; // of a poll while nobody answers
constexpr std::chrono::milliseconds glance_budget{5000}; // of a poll
constexpr int contact_share = 4; // the same for those never heard of, which are to be reported soon
constexpr int probe_share = 16;  // silent units get a sixteenth of the line's time, while others answer
constexpr std::chrono::seconds gap_trial_pause{10};
constexpr std::uint64_t polls_before_gap_trial = 5;

bool is_same(const PlannedRequest& a, const PlannedRequest& b) {
    return a.unit == b.unit && a.table == b.table && a.span == b.span;
}

// The last retry is spent on another request, to see whether the unit is there; one at least on the same,
// which takes an answer that comes late.
int repeats(const UnitSettings& unit) {
    return std::max(unit.retries - 1, std::min(unit.retries, 1));
}

PlannedRequest alone(const ModbusSettings& settings, std::uint32_t index) {
    const ModbusPoint& point = settings.points[index];
    const RegisterSpan span = request_span(point.whole(), settings.units[point.unit].limits(point.table));
    PlannedRequest request{point.unit, point.table, span, {}, true};
    request.points.push_back(
        {index, point.span.first - span.first, point.factor.value_or(span.first) - span.first});
    return request;
}

} // namespace

UnitPolls::UnitPolls(const ModbusSettings& settings, SourceLine& line, UnitStates& units,
                     RegisterLessons& lessons, PointReports& reports, RequestReader& reader,
                     const SunspecWalk& sunspec)
    : settings_(settings), line_(line), units_(units), lessons_(lessons), reports_(reports), reader_(reader),
      sunspec_(sunspec) {}

void UnitPolls::run(const PollPlan& cached, const std::vector<std::uint32_t>& asked) {
    ++polls_;
    // A lesson learned on the way drops the cached one.
    PollPlan plan = cached;
    std::erase_if(plan, [](const PlannedRequest& request) { return request.is_trial; });
    Requests late;
    Next next = run_alive(plan, late);
    if (next != Next::stop)
        next = run_late(late);
    if (next != Next::stop)
        next = run_others(plan);
    if (next != Next::stop)
        next = run_trials(asked);
    if (next != Next::stop && late.empty() && reader_.wasted().count() == 0)
        try_gap(plan);
}

UnitPolls::Next UnitPolls::run_alive(const PollPlan& plan, Requests& late) {
    std::array<bool, 256> is_late{};
    Requests blocked;
    const auto one = [&](const PlannedRequest& request) {
        const std::uint8_t unit = unit_of(request).unit;
        if (is_late[unit]) {
            late.push_back(&request);
            return Next::go_on;
        }
        const bool alone = !units_.has_neighbours(unit);
        const Next next = reader_.read(request, alone                           ? repeats(unit_of(request))
                                                : Clock::now() < hurried_until_ ? RequestReader::glance
                                                                                : RequestReader::no_verdict);
        if (next == Next::failed) {
            is_late[unit] = true;
            late.push_back(&request);
            units_[unit].health.doubt();
            if (!alone)
                hurried_until_ = Clock::now() + contact_share * unit_of(request).timeout;
        }
        return next == Next::stop ? Next::stop : Next::go_on;
    };
    for (const PlannedRequest* request : in_order(plan)) {
        if (!units_.is_alive(unit_of(*request).unit) && !is_late[unit_of(*request).unit])
            continue;
        // An answer that is still on its way could be taken for this one: others first.
        if (line_.bus().clear_at(request->request(unit_of(*request))) > Clock::now())
            blocked.push_back(request);
        else if (one(*request) == Next::stop)
            return Next::stop;
    }
    for (const PlannedRequest* request : blocked)
        if (one(*request) == Next::stop)
            return Next::stop;
    return Next::go_on;
}

// What the last call did not come to goes first, or the end of a long plan would never be reached.
UnitPolls::Requests UnitPolls::in_order(const PollPlan& plan) {
    Requests order;
    for (const PlannedRequest& request : plan)
        order.push_back(&request);
    if (const auto place = reader_.take_place())
        std::rotate(
            order.begin(),
            std::find_if(order.begin(), order.end(),
                         [&place](const PlannedRequest* request) {
                             return *place <= Place{request->unit, request->table, request->span.first};
                         }),
            order.end());
    return order;
}

// Those that missed their answer a moment ago. The first that stays silent is the last that is waited for
// now. Each unit is asked the same once more, since its answer may only be late, and then for what it
// answered last: whether it is the unit that is silent, or the request. A unit alone was asked the same often
// enough.
UnitPolls::Next UnitPolls::run_late(const Requests& late) {
    std::array<bool, 256> done{};
    std::chrono::nanoseconds spent{0};
    for (const PlannedRequest* first : late) {
        const std::uint8_t unit = unit_of(*first).unit;
        UnitState& it = units_[unit];
        if (std::exchange(done[unit], true))
            continue;
        it.glanced_at = true;
        const bool is_alone = !units_.has_neighbours(unit);
        if (it.health.state() == UnitHealth::State::dead || !(is_alone || may_wait_for(unit, spent)))
            continue;
        Requests requests;
        for (const PlannedRequest* request : late)
            if (unit_of(*request).unit == unit)
                requests.push_back(request);
        const SteadyTime now = Clock::now();
        const int same = is_alone ? 0 : repeats(unit_of(*first));
        Next next = same > 0 ? reader_.read(*first, same - 1) : Next::failed;
        if (next == Next::failed) {
            const Failure failure = reader_.failure();
            next = ask_known(unit, *first).value_or(same > 0 ? Next::failed : Next::later);
            if (next == Next::failed)
                reader_.on_silence(*first, same > 0 ? failure : reader_.failure());
            else if (next == Next::go_on && same > 0) {
                it.health.on_answer();
                reader_.suspect(*first, failure);
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
        units_.delay_probes(Clock::now() + contact_share * (Clock::now() - now));
    }
    return Next::go_on;
}

UnitPolls::Next UnitPolls::read_all(const Requests& requests, int silent_retries) {
    std::vector<std::pair<const PlannedRequest*, Failure>> failed;
    bool is_there = true; // answered since the last failure
    for (const PlannedRequest* request : requests) {
        const std::uint8_t unit = unit_of(*request).unit;
        if (!failed.empty() && !may_fail_again(unit)) {
            line_.interrupt(); // the rest is due again
            break;
        }
        const Next next = reader_.read(*request, silent_retries);
        if (next == Next::stop)
            return Next::stop;
        if (next == Next::later)
            continue;
        is_there = next == Next::go_on;
        if (!is_there)
            failed.emplace_back(request, reader_.failure());
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
            reader_.on_silence(last, failed.back().second);
            return Next::failed;
        }
        it.health.on_answer();
    }
    for (const auto& [request, failure] : failed)
        reader_.suspect(*request, failure);
    return Next::go_on;
}

std::optional<UnitPolls::Next> UnitPolls::ask_known(std::uint8_t unit, const PlannedRequest& failed) {
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
    const bool is_blocked = line_.bus().clear_at(known->request(unit_of(*known))) > Clock::now();
    if (is_blocked && units_.has_neighbours(unit) && known->span.size() > 1)
        --known->span.end;
    const Next next = reader_.read(*known, 0);
    if (next == Next::failed)
        ++it.turn;
    // One that cannot be asked for anything now is believed for what it answered a moment ago.
    return next == Next::later && units_.was_there(it) ? Next::go_on : next;
}

// With neighbours on the line the first failure is the last that is waited for in this call.
bool UnitPolls::may_fail_again(std::uint8_t unit) const {
    return !units_.has_neighbours(unit) && reader_.wasted() < silent_budget;
}

// May a unit that may be silent be waited for, after so much was spent on others in this poll?
bool UnitPolls::may_wait_for(std::uint8_t unit, std::chrono::nanoseconds spent) const {
    return units_.has_neighbours(unit) ? Clock::now() >= units_.next_probe() && spent.count() == 0
                                       : spent < silent_budget;
}

// The not yet known and the silent. At the start of a line with many dead units the living must be found
// soon: everybody is first asked with a short patience, and those that kept silent again in full.
UnitPolls::Next UnitPolls::run_others(const PollPlan& plan) {
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
                    units_.report(it);
                continue;
            }
            if (run_unit(plan, unit, stage) == Next::stop)
                return Next::stop;
            if (it.health.state() == UnitHealth::State::alive)
                continue;
            const auto cost = Clock::now() - now;
            spent += cost;
            if (stage != Stage::glance)
                units_.delay_probes(Clock::now() +
                                    (stage == Stage::contact ? contact_share : probe_share) * cost);
        }
        if (stage == Stage::glance)
            spent = std::chrono::nanoseconds(0);
    }
    return Next::go_on;
}

bool UnitPolls::is_at(Stage stage, const PollPlan& plan, const PlannedRequest& request) const {
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
UnitPolls::Next UnitPolls::run_unit(const PollPlan& plan, std::uint8_t unit, Stage stage) {
    UnitState& it = units_[unit];
    it.glanced_at = true;
    const bool is_alone = std::all_of(plan.begin(), plan.end(), [&](const PlannedRequest& request) {
        return unit_of(request).unit == unit;
    });
    std::optional<Failure> first;
    PlannedRequest probe = probe_of(plan, unit);
    const PlannedRequest shortest = probe;
    Next next = reader_.read(probe, stage == Stage::glance ? RequestReader::glance : 0);
    std::size_t tried = 1;
    while (next == Next::failed && stage != Stage::glance) {
        ++it.turn;
        if (!first)
            first = reader_.failure();
        if (!is_alone || reader_.wasted() >= silent_budget || tried++ > settings_.points.size() ||
            line_.is_over())
            break;
        probe = probe_of(plan, unit);
        next = reader_.read(probe, 0);
    }
    if (next == Next::stop && line_.has_failed())
        ++it.turn; // the connection was closed for this request, perhaps: another one next time
    if (next == Next::later && first)
        next = Next::failed;
    if (next == Next::failed && first)
        reader_.on_silence(shortest, *first);
    if (next != Next::go_on)
        return next;
    it.turn = 0;
    Requests rest;
    for (const PlannedRequest& request : plan)
        if (unit_of(request).unit == unit && (probe.points.empty() || !is_same(request, probe)))
            rest.push_back(&request);
    return read_all(rest, repeats(unit_of(shortest)));
}

PlannedRequest UnitPolls::probe_of(const PollPlan& plan, std::uint8_t unit) const {
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

std::optional<PlannedRequest> UnitPolls::point_probe(std::uint8_t unit) const {
    std::vector<std::uint32_t> points;
    for (std::uint32_t i = 0; i < settings_.points.size(); ++i) {
        const ModbusPoint& point = settings_.points[i];
        if (settings_.units[point.unit].unit == unit && (!point.sunspec || sunspec_.is_found(i)))
            points.push_back(i);
    }
    if (points.empty())
        return std::nullopt;
    const std::uint32_t turn = units_[unit].turn;
    const std::size_t step = turn / 2 % points.size();
    PlannedRequest probe = alone(settings_, points[turn % 2 == 0 ? points.size() - 1 - step : step]);
    probe.points.clear();
    return probe;
}

UnitPolls::Next UnitPolls::run_trials(const std::vector<std::uint32_t>& asked) {
    for (const std::uint32_t point : asked) {
        if (lessons_.is_on_trial(point)) {
            if (run_trial(point) == Next::stop)
                return Next::stop;
        } else if (reader_.wants_raw() && lessons_.is_left_out(point)) {
            reports_.repeat(point);
        }
    }
    return Next::go_on;
}

UnitPolls::Next UnitPolls::run_trial(std::uint32_t point) {
    const PlannedRequest request = alone(settings_, point);
    const std::uint8_t unit = unit_of(request).unit;
    UnitState& it = units_[unit];
    if (it.health.state() == UnitHealth::State::dead)
        units_.report(it);
    if (it.health.state() == UnitHealth::State::dead && !it.health.is_due(Clock::now()))
        return Next::go_on;
    if (units_.has_neighbours(unit) ? Clock::now() < units_.next_probe() || reader_.wasted().count() > 0
                                    : reader_.wasted() >= silent_budget) {
        if (!reports_.repeat(point))
            reports_.problem(point, waits,
                             reports_.name_of(point) +
                                 ": a request that held it was not answered. It is asked alone "
                                 "as soon as the line has time for it.");
        return Next::go_on;
    }
    const SteadyTime now = Clock::now();
    Next next = reader_.read(request, lessons_.strikes(point) > 0 ? RequestReader::glance : 0);
    if (next != Next::failed)
        return next;
    units_.delay_probes(Clock::now() + probe_share * (Clock::now() - now));
    const Failure failure = reader_.failure();
    if (!units_.has_answered(unit)) {
        next = ask_known(unit, request).value_or(Next::failed);
        if (next == Next::failed)
            reader_.on_silence(request, failure);
        if (next != Next::go_on)
            return next;
    }
    reader_.leave_out(point, request, failure);
    return Next::go_on;
}

// Where a device was told nothing about gaps, one is tried now and then: if two requests of it could be one,
// and it reads across, they will be.
void UnitPolls::try_gap(const PollPlan& plan) {
    const SteadyTime now = Clock::now();
    if (polls_ < polls_before_gap_trial || now < next_gap_trial_ || line_.is_over())
        return;
    for (std::size_t i = 0; i + 1 < plan.size(); ++i) {
        const PlannedRequest &a = plan[i], &b = plan[i + 1];
        const UnitSettings& unit = unit_of(a);
        const RegisterSpan joined{a.span.first, std::max(a.span.end, b.span.end)};
        const RegisterSpan gap{a.span.end, b.span.first};
        const LinkCost cost = line_.bus().cost(unit.pause);
        if (a.unit != b.unit || a.table != b.table || unit.gap || !units_.is_alive(unit.unit) ||
            b.span.first <= a.span.end || joined.size() > unit.limits(a.table).most ||
            lessons_.is_closed(a.unit, a.table, gap) ||
            cost.read_us(a.table, joined.size(), unit.register_bytes) >=
                cost.read_us(a.table, a.span.size(), unit.register_bytes) +
                    cost.read_us(a.table, b.span.size(), unit.register_bytes))
            continue;
        next_gap_trial_ = now + gap_trial_pause;
        const PlannedRequest trial{a.unit, a.table, joined, {}, false};
        const Exchange result = line_.ask(trial.request(unit), line_.timing_of(unit, 0));
        if (result.status == Exchange::Status::answered)
            lessons_.open_gap(a.unit, a.table, gap);
        else if (result.status != Exchange::Status::lost)
            lessons_.close_gap(a.unit, a.table, gap);
        return;
    }
}

} // namespace things
