// SPDX-License-Identifier: Apache-2.0
#include "modbus/unit_states.hpp"

#include "things_plugin.hpp"

#include <algorithm>

namespace things {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds shortest_glance{50};

} // namespace

UnitStates::UnitStates(const PluginHost& host, const ModbusSettings& settings, RegisterLessons& lessons)
    : host_(host), settings_(settings), lessons_(lessons) {
    std::array<bool, 256> known{};
    for (const ModbusPoint& point : settings.points) {
        const std::uint8_t unit = settings.units[point.unit].unit;
        if (!known[unit]) {
            known[unit] = true;
            slots_[unit] = static_cast<std::uint8_t>(states_.size());
            states_.emplace_back();
        }
        auto& devices = (*this)[unit].devices;
        if (std::find(devices.begin(), devices.end(), point.device) == devices.end())
            devices.push_back(point.device);
    }
}

bool UnitStates::is_alive(std::uint8_t unit) const {
    return (*this)[unit].health.state() == UnitHealth::State::alive;
}

bool UnitStates::has_neighbours(std::uint8_t unit) const {
    const UnitState* self = &(*this)[unit];
    return std::any_of(states_.begin(), states_.end(), [self](const UnitState& other) {
        return &other != self && other.health.state() == UnitHealth::State::alive;
    });
}

bool UnitStates::was_there(const UnitState& unit) const {
    constexpr std::chrono::seconds moment{10};
    return unit.answered_in == call_ || unit.answered_at + moment > Clock::now();
}

void UnitStates::on_answer(std::uint8_t unit) {
    UnitState& it = (*this)[unit];
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
    wake();
    next_probe_ = Clock::now();
}

void UnitStates::on_silence(const UnitSettings& unit, BusExplanation trouble) {
    UnitState& it = (*this)[unit.unit];
    it.health.on_silence(Clock::now(), unit.timeout, unit.backoff_max);
    it.turn = std::max(it.turn, 1U); // the next probe asks for something else
    it.trouble = std::move(trouble);
    report(it);
}

void UnitStates::learn_usual(std::uint8_t unit, std::uint32_t us) {
    std::uint32_t& usual = (*this)[unit].usual_us;
    usual = std::max(us, usual - usual / 16);
}

std::chrono::milliseconds UnitStates::short_patience(const UnitSettings& unit) const {
    const std::chrono::milliseconds usual(4 * (*this)[unit.unit].usual_us / 1000);
    return std::min(unit.timeout, std::max(shortest_glance, usual.count() > 0 ? usual : unit.timeout / 4));
}

void UnitStates::report(const UnitState& unit) const {
    for (const std::uint32_t device : unit.devices)
        host_.report(THINGS_PROBLEM, THINGS_DEVICE, device, unit.trouble.code, unit.trouble.text);
}

void UnitStates::wake() {
    for (UnitState& unit : states_)
        unit.health.wake(Clock::now());
}

} // namespace things
