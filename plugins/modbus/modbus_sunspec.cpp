// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_source.hpp"

#include <algorithm>

// Finds the models of SunSpec devices: the marker "SunS" at one of three places, then model after model, each
// an id and a length, until the id 0xFFFF.
namespace things {

namespace {

constexpr std::array<std::uint16_t, 3> bases{40000, 50000, 0};
constexpr std::uint16_t marker_high = 0x5375, marker_low = 0x6E53;
constexpr std::uint16_t end_model = 0xFFFF;
constexpr int most_models = 200; // a chain that goes round in circles
constexpr std::chrono::seconds again{600}, soon{5};
constexpr std::uint8_t last_firm_refusal = 3; // exceptions 1 to 3 say what a device has; 4 and up how it is

} // namespace

bool ModbusSource::find_sunspec_points(const std::uint32_t* points, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const ModbusPoint& point = settings_.points[points[i]];
        if (!point.sunspec || sunspec_found_[points[i]])
            continue;
        const SteadyTime now = std::chrono::steady_clock::now();
        const UnitState& unit = units_[settings_.units[point.unit].unit];
        if (!unit.health.is_due(now))
            report_unit(unit);
        else if (now >= next_walk_[point.unit] && !walk_sunspec(point.unit))
            return false;
        if (!sunspec_found_[points[i]])
            unplaced_.push_back(points[i]);
    }
    return true;
}

// Two registers of the chain. `why` is set where the device gave no answer to go by: busy, failing, silent.
ModbusSource::Chain ModbusSource::read_chain(std::uint32_t unit_index, std::uint32_t address,
                                             std::array<std::uint16_t, 2>& words, std::string& why) {
    if (is_over()) {
        interrupted_ = true;
        return Chain::stop;
    }
    const UnitSettings& unit = settings_.units[unit_index];
    const PlannedRequest request{unit_index, RegisterTable::holding, {address, address + 2}, {}, false};
    const BusRequest frame = request.request(unit);
    const bool known = units_[unit.unit].health.state() == UnitHealth::State::alive;
    const BusTiming timing = timing_of(unit, known ? unit.retries : 0);
    const Exchange result = ask(frame, timing);
    if (result.status == Exchange::Status::lost)
        return Chain::stop;
    if (result.status == Exchange::Status::answered) {
        on_answer(unit.unit);
        std::copy_n(result.words.begin(), 2, words.begin());
        return Chain::words;
    }
    const bool refused = result.status == Exchange::Status::exception;
    const Failure failure{frame, result, timing};
    if (!refused || is_gone_behind_gateway(result.code))
        on_silence(request, failure);
    else
        on_answer(unit.unit);
    if (!refused || result.code > last_firm_refusal)
        why = explain(failure).text;
    return Chain::refused;
}

bool ModbusSource::walk_sunspec(std::uint32_t unit_index) {
    const std::uint8_t unit = settings_.units[unit_index].unit;
    std::array<std::uint16_t, 2> words{};
    std::uint32_t at = 0;
    std::string why;
    bool marked = false;
    for (const std::uint16_t base : bases) {
        const Chain read = read_chain(unit_index, base, words, why);
        if (read == Chain::stop)
            return false;
        marked = read == Chain::words && words[0] == marker_high && words[1] == marker_low;
        at = base + 2U;
        if (marked)
            break;
        if (units_[unit].health.state() == UnitHealth::State::dead)
            return true;
    }
    if (marked)
        why.clear();
    std::vector<SunspecModel> models;
    while (marked && models.size() < most_models && at < end_model) {
        const Chain read = read_chain(unit_index, at, words, why);
        if (read == Chain::stop)
            return false;
        if (read == Chain::refused || words[0] == end_model)
            break;
        models.push_back({words[0], at, words[1]});
        at += 2U + words[1];
    }
    place_sunspec(unit_index, marked, models, why);
    return true;
}

// Gives every SunSpec point of the unit its addresses; a point without a model is left out for a while: a
// short one if the walk ended early, which `trouble` tells.
void ModbusSource::place_sunspec(std::uint32_t unit_index, bool marked,
                                 const std::vector<SunspecModel>& models, const std::string& trouble) {
    std::string found;
    for (const SunspecModel& model : models)
        found += (found.empty() ? "" : ", ") + std::to_string(model.id);
    const std::string chain = found.empty() ? "none" : found;
    for (std::uint32_t i = 0; i < settings_.points.size(); ++i) {
        ModbusPoint& point = settings_.points[i];
        if (!point.sunspec || point.unit != unit_index || sunspec_found_[i])
            continue;
        const SunspecPlace& place = *point.sunspec;
        const auto model = std::find_if(models.begin(), models.end(),
                                        [&place](const SunspecModel& m) { return m.id == place.model; });
        const std::uint32_t size = register_count(point.format);
        if (model == models.end() || place.offset + size > model->length + 2U) {
            next_walk_[unit_index] = std::chrono::steady_clock::now() + (trouble.empty() ? again : soon);
            const std::string why =
                !trouble.empty() ? "its place could not be looked up: " + trouble
                : !marked ? "the marker \"SunS\" is at none of 40000, 50000 and 0: is this a SunSpec device, "
                            "and is "
                            "SunSpec switched on in it?"
                : model == models.end()
                    ? "the device has no model " + std::to_string(place.model) + "; it has: " + chain
                    : "model " + std::to_string(place.model) + " of this device ends before this point";
            point_problem(i, "sunspec_model", point_text(i) + ": " + why + ". It is looked for again later.");
            continue;
        }
        point.span = {model->first + place.offset, model->first + place.offset + size};
        if (place.factor)
            point.factor = model->first + *place.factor;
        sunspec_found_[i] = true;
        point_works(i);
    }
}

} // namespace things
