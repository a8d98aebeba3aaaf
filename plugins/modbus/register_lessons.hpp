// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/stream.hpp"
#include "modbus/modbus_settings.hpp"
#include "modbus/read_plan.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <vector>

// What experience taught about a source's devices: registers that are refused, joins that are refused, gaps
// that may be read across. Kept in memory only; a restart learns again. `epoch` changes with every lesson, so
// that plans made before are made anew. Used on the source's thread.
namespace things {

/// Of every kind at most 4096 are kept for each table: a device that refuses at random must not fill the
/// memory. What is over is not learned.
class RegisterLessons {
public:
    explicit RegisterLessons(std::size_t units) : tables_(units) {}

    /// `unit` is an index into ModbusSettings::units, not the id on the bus.
    [[nodiscard]] const TableLessons& of(std::uint32_t unit, RegisterTable table) const;
    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
    /// How often a point was refused so far.
    [[nodiscard]] std::uint64_t refusals() const { return refused_; }

    /// The point's registers were refused although they were read alone: leave the point out for a time that
    /// grows from `first` to an hour.
    /// Its registers are forbidden ground for joined requests until accept().
    void refuse(std::uint32_t point, const ModbusPoint& where, SteadyTime now, std::chrono::seconds first);
    /// It, or something that was asked together with it, was not answered: to be read alone.
    void suspect(std::uint32_t point, const ModbusPoint& where);
    /// How often it was refused, or not answered although it was asked alone.
    [[nodiscard]] int strikes(std::uint32_t point) const;
    /// It was read after all. True if it had been refused before.
    bool accept(std::uint32_t point, const ModbusPoint& where);
    /// Left out for the time being.
    /// Neither this nor is_on_trial() looks at the time: on_time() does.
    [[nodiscard]] bool is_left_out(std::uint32_t point) const;
    /// To be read alone, since it was refused before.
    [[nodiscard]] bool is_on_trial(std::uint32_t point) const;
    /// Puts all that is left out of this unit (its id) on trial: it was away.
    void retry(std::uint8_t unit, const ModbusSettings& settings);
    /// Puts points whose time is over on trial.
    void on_time(SteadyTime now);

    /// Both sides can be read, but not together.
    void cut(std::uint32_t unit, RegisterTable table, std::uint32_t address);
    /// The gap was read across: requests may be joined over it from now on.
    void open_gap(std::uint32_t unit, RegisterTable table, RegisterSpan gap);
    /// The gap was tried and refused.
    void close_gap(std::uint32_t unit, RegisterTable table, RegisterSpan gap);
    /// True also for a gap that only overlaps one that was refused.
    [[nodiscard]] bool is_closed(std::uint32_t unit, RegisterTable table, RegisterSpan gap) const;

private:
    struct Refusal {
        SteadyTime until;
        std::chrono::seconds wait{0};
        bool on_trial = false;
        int strikes = 0;
    };
    struct UnitLessons {
        std::array<TableLessons, 4> tables;
        std::array<std::vector<RegisterSpan>, 4> closed;
    };
    [[nodiscard]] TableLessons& at(std::uint32_t unit, RegisterTable table);
    void forbid(const ModbusPoint& where);

    std::vector<UnitLessons> tables_;
    std::map<std::uint32_t, Refusal> refusals_; ///< by point
    SteadyTime next_{SteadyTime::max()};        ///< when the next refusal is over
    std::uint64_t epoch_ = 0, refused_ = 0;
};

} // namespace things
