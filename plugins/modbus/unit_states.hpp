// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/explanation.hpp"
#include "modbus/poll_plan.hpp"
#include "modbus/register_lessons.hpp"
#include "modbus/unit_health.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

// How the units of a source fare: who answers, who is silent since when, and when silent ones may cost the
// line time again. Owned by the source, used on its thread. Kept in memory only.
namespace things {

class PluginHost;

/// How a unit fares, and what it costs the line (UnitHealth):
///
///   unknown   never asked, or it missed one answer: asked once with a short patience, then in full
///   alive     asked first in every poll
///   dead      asked when its wait is over, while others answer for a sixteenth of the line's time
struct UnitState {
    UnitHealth health;
    BusExplanation trouble;               ///< of a dead unit
    bool glanced_at = false;              ///< was asked once, with a short patience
    std::uint32_t usual_us = 0;           ///< how long it takes to answer, the longest of late
    std::optional<PlannedRequest> good{}; ///< was answered last; without its points
    std::uint64_t answered_in = 0;        ///< the call in which it answered last
    SteadyTime answered_at{};             ///< its last answer
    std::uint32_t turn = 0;               ///< requests of which none was answered since it fell silent
    std::vector<std::uint32_t> devices{}; ///< that have points there
};

/// States of the units that points name; no more, since a gateway may have a thousand sources. Indexed by the
/// id on the bus.
class UnitStates {
public:
    UnitStates(const PluginHost& host, const ModbusSettings& settings, RegisterLessons& lessons);
    UnitState& operator[](std::size_t unit) { return states_[slots_[unit]]; }
    const UnitState& operator[](std::size_t unit) const { return states_[slots_[unit]]; }

    void begin_call() { ++call_; }
    [[nodiscard]] bool is_alive(std::uint8_t unit) const;
    /// Whether another unit answers.
    [[nodiscard]] bool has_neighbours(std::uint8_t unit) const;
    /// It answered in this call.
    [[nodiscard]] bool has_answered(std::uint8_t unit) const { return (*this)[unit].answered_in == call_; }
    /// It answered in this call or a moment before: then what fails is a request.
    [[nodiscard]] bool was_there(const UnitState& unit) const;
    void on_answer(std::uint8_t unit);
    void on_silence(const UnitSettings& unit, BusExplanation trouble);
    void learn_usual(std::uint8_t unit, std::uint32_t us);
    /// Long enough for a unit that was not slower of late.
    [[nodiscard]] std::chrono::milliseconds short_patience(const UnitSettings& unit) const;
    /// Tells the devices of a unit what is wrong with it.
    void report(const UnitState& unit) const;
    /// Something changed on the line: all may be asked at once.
    void wake();

    /// Silent units take a small part of the line's time only.
    [[nodiscard]] SteadyTime next_probe() const { return next_probe_; }
    void delay_probes(SteadyTime until) { next_probe_ = until; }

private:
    const PluginHost& host_;
    const ModbusSettings& settings_;
    RegisterLessons& lessons_;
    std::array<std::uint8_t, 256> slots_{};
    std::vector<UnitState> states_;
    std::uint64_t call_ = 0;
    SteadyTime next_probe_{};
};

} // namespace things
