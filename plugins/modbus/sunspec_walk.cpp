// SPDX-License-Identifier: Apache-2.0
#include "modbus/sunspec_walk.hpp"

#include <algorithm>

namespace things {

namespace {

constexpr std::array<std::uint16_t, 3> bases{40000, 50000, 0};
constexpr std::uint16_t marker_high = 0x5375, marker_low = 0x6E53;
constexpr std::uint16_t end_model = 0xFFFF;
constexpr int most_models = 200; // a chain that goes round in circles
constexpr std::chrono::seconds again{600}, soon{5};
constexpr std::uint8_t last_firm_refusal = 3; // exceptions 1 to 3 say what a device has; 4 and up how it is

} // namespace

SunspecWalk::SunspecWalk(ModbusSettings& settings, SourceLine& line, UnitStates& units, PointReports& reports)
    : settings_(settings), line_(line), units_(units), reports_(reports),
      found_(settings.points.size(), false), next_walk_(settings.units.size()) {}

bool SunspecWalk::find(const std::uint32_t* points, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        const ModbusPoint& point = settings_.points[points[i]];
        if (!is_missing(points[i]))
            continue;
        const SteadyTime now = std::chrono::steady_clock::now();
        const UnitState& unit = units_[settings_.units[point.unit].unit];
        if (!unit.health.is_due(now))
            units_.report(unit);
        else if (now >= next_walk_[point.unit] && !walk(point.unit))
            return false;
    }
    return true;
}

// Two registers of the chain. `why` is set where the device gave no answer to go by: busy, failing, silent.
SunspecWalk::Chain SunspecWalk::read_chain(std::uint32_t unit_index, std::uint32_t address,
                                           std::array<std::uint16_t, 2>& words, std::string& why) {
    if (line_.is_over()) {
        line_.interrupt();
        return Chain::stop;
    }
    const UnitSettings& unit = settings_.units[unit_index];
    const BusRequest frame = read_request(unit, RegisterTable::holding, {address, address + 2});
    const bool known = units_.is_alive(unit.unit);
    const BusTiming timing = line_.timing_of(unit, known ? unit.retries : 0);
    const Exchange result = line_.ask(frame, timing);
    if (result.status == Exchange::Status::lost)
        return Chain::stop;
    if (result.status == Exchange::Status::answered) {
        units_.on_answer(unit.unit);
        std::copy_n(result.words.begin(), 2, words.begin());
        return Chain::words;
    }
    const bool refused = result.status == Exchange::Status::exception;
    const BusExplanation trouble = refused ? explain_exception(frame, result.code)
                                           : explain_silence(frame, result, timing, settings_.link);
    if (!refused || is_gone_behind_gateway(result.code))
        units_.on_silence(unit, trouble);
    else
        units_.on_answer(unit.unit);
    if (!refused || result.code > last_firm_refusal)
        why = trouble.text;
    return Chain::refused;
}

bool SunspecWalk::walk(std::uint32_t unit_index) {
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
    std::vector<Model> models;
    while (marked && models.size() < most_models && at < end_model) {
        const Chain read = read_chain(unit_index, at, words, why);
        if (read == Chain::stop)
            return false;
        if (read == Chain::refused || words[0] == end_model)
            break;
        models.push_back({words[0], at, words[1]});
        at += 2U + words[1];
    }
    place(unit_index, marked, models, why);
    return true;
}

// Gives every SunSpec point of the unit its addresses; a point without a model is left out for a while: a
// short one if the walk ended early, which `trouble` tells.
void SunspecWalk::place(std::uint32_t unit_index, bool marked, const std::vector<Model>& models,
                        const std::string& trouble) {
    std::string found;
    for (const Model& model : models)
        found += (found.empty() ? "" : ", ") + std::to_string(model.id);
    const std::string chain = found.empty() ? "none" : found;
    for (std::uint32_t i = 0; i < settings_.points.size(); ++i) {
        ModbusPoint& point = settings_.points[i];
        if (!point.sunspec || point.unit != unit_index || found_[i])
            continue;
        const SunspecPlace& wanted = *point.sunspec;
        const auto model = std::find_if(models.begin(), models.end(),
                                        [&wanted](const Model& m) { return m.id == wanted.model; });
        const std::uint32_t size = register_count(point.format);
        if (model == models.end() || wanted.offset + size > model->length + 2U) {
            next_walk_[unit_index] = std::chrono::steady_clock::now() + (trouble.empty() ? again : soon);
            const std::string why =
                !trouble.empty() ? "its place could not be looked up: " + trouble
                : !marked ? "the marker \"SunS\" is at none of 40000, 50000 and 0: is this a SunSpec device, "
                            "and is "
                            "SunSpec switched on in it?"
                : model == models.end()
                    ? "the device has no model " + std::to_string(wanted.model) + "; it has: " + chain
                    : "model " + std::to_string(wanted.model) + " of this device ends before this point";
            reports_.problem(i, "sunspec_model",
                             reports_.name_of(i) + ": " + why + ". It is looked for again later.");
            continue;
        }
        point.span = {model->first + wanted.offset, model->first + wanted.offset + size};
        if (wanted.factor)
            point.factor = model->first + *wanted.factor;
        found_[i] = true;
        reports_.works(i);
    }
}

} // namespace things
