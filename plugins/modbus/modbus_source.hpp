// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/explanation.hpp"
#include "modbus/modbus_bus.hpp"
#include "modbus/modbus_settings.hpp"
#include "modbus/poll_plan.hpp"
#include "modbus/unit_health.hpp"
#include "things_plugin.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// One source: a line or connection, its units and points. Everything here runs on the source's thread, one
// call at a time. The calls are spread over modbus_poll.cpp, modbus_readings.cpp, modbus_write.cpp and
// modbus_sunspec.cpp.
namespace things {

class ModbusSource {
public:
    static std::unique_ptr<ModbusSource> make(const PluginHost& host, const things_source_config& config);
    ModbusSource(const PluginHost& host, ModbusSettings settings);

    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);
    int discover(const PluginSettings& options, std::int64_t deadline_ms);
    int plan();

private:
    struct UnitState {
        UnitHealth health;
        Explanation trouble;                  ///< of a dead unit
        bool glanced_at = false;              ///< was asked once, with a short patience
        std::uint32_t usual_us = 0;           ///< how long it takes to answer, the longest of late
        std::vector<std::uint32_t> devices{}; ///< that have points there
    };
    /// States of the units that points name; no more, since a gateway may have a thousand sources.
    class UnitTable {
    public:
        explicit UnitTable(const ModbusSettings& settings);
        UnitState& operator[](std::size_t unit) { return states_[slots_[unit]]; }
        const UnitState& operator[](std::size_t unit) const { return states_[slots_[unit]]; }
        [[nodiscard]] auto begin() { return states_.begin(); }
        [[nodiscard]] auto end() { return states_.end(); }
        [[nodiscard]] auto begin() const { return states_.begin(); }
        [[nodiscard]] auto end() const { return states_.end(); }

    private:
        std::array<std::uint8_t, 256> slots_{};
        std::vector<UnitState> states_;
    };
    struct CachedPlan {
        std::vector<std::uint32_t> points;
        std::uint64_t epoch = 0;
        double request_us = 0; ///< of the cost model it was made with
        std::uint64_t used = 0;
        PollPlan plan;
    };
    /// How a call goes on after a request.
    enum class Next : std::uint8_t { go_on, skip_unit, stop };
    /// How units that are not known to live are asked.
    enum class Stage : std::uint8_t { glance, contact, probe };

    // link
    [[nodiscard]] bool open_link();
    void report_link(const LinkTrouble& trouble);
    [[nodiscard]] bool is_over() const;
    [[nodiscard]] BusTiming timing_of(const UnitSettings& unit, int silent_retries) const;
    [[nodiscard]] Exchange ask(const BusRequest& request, const BusTiming& timing);

    // polling
    [[nodiscard]] const PollPlan& plan_for(const std::uint32_t* points, std::uint32_t count);
    int run(const PollPlan& plan);
    Next run_alive(const PollPlan& plan, std::vector<const PlannedRequest*>& late);
    Next run_late(const std::vector<const PlannedRequest*>& late);
    Next run_others(const PollPlan& plan);
    Next run_unit(const PollPlan& plan, std::uint8_t unit, Stage stage);
    [[nodiscard]] bool is_at(Stage stage, const PollPlan& plan, const PlannedRequest& request) const;
    Next read(const PlannedRequest& request, int silent_retries);
    Next narrow(const PlannedRequest& request, std::uint8_t code);
    void refuse(const PlannedRequest& request, std::uint8_t code);
    void emit(const PlannedRequest& request, const Exchange& result);
    void emit_point(const PlannedRequest& request, const PlannedPoint& planned, const Exchange& result);
    void on_answer(std::uint8_t unit);
    void learn_usual(std::uint8_t unit, std::uint32_t us);
    [[nodiscard]] std::chrono::milliseconds short_patience(const UnitSettings& unit) const;
    [[nodiscard]] bool may_wait_for(std::uint8_t unit, std::chrono::nanoseconds spent) const;
    void on_silence(const PlannedRequest& request, Explanation why);
    void report_silence(const PlannedRequest& request, Explanation why);
    void report_unit(const UnitState& unit);
    void try_gap(const PollPlan& plan);
    [[nodiscard]] bool has_neighbours(std::uint8_t unit) const;
    [[nodiscard]] bool is_alive(const PlannedRequest& request) const;
    [[nodiscard]] const UnitSettings& unit_of(const PlannedRequest& request) const {
        return settings_.units[request.unit];
    }

    // points
    void point_problem(std::uint32_t point, const char* code, const std::string& text);
    void point_works(std::uint32_t point);
    [[nodiscard]] std::string point_text(std::uint32_t point) const;
    /// Finds the addresses of SunSpec points. False if the call must end.
    [[nodiscard]] bool find_sunspec_points(const std::uint32_t* points, std::uint32_t count);
    [[nodiscard]] bool walk_sunspec(std::uint32_t unit);
    struct SunspecModel {
        std::uint16_t id = 0;
        std::uint32_t first = 0; ///< address of its id register
        std::uint16_t length = 0;
    };
    [[nodiscard]] bool read_chain(std::uint32_t unit, std::uint32_t address,
                                  std::array<std::uint16_t, 2>& words, bool& stop);
    void place_sunspec(std::uint32_t unit, bool marked, const std::vector<SunspecModel>& models);

    // writing
    [[nodiscard]] int write_words(std::uint32_t point, const std::vector<std::uint16_t>& words);
    [[nodiscard]] int read_around(std::uint32_t point, std::vector<std::uint16_t>& current, int& power);

    PluginHost host_;
    ModbusSettings settings_;
    ModbusBus bus_;
    UnitTable units_;
    RegisterLessons lessons_;
    std::vector<CachedPlan> plans_;
    std::uint64_t polls_ = 0;
    std::vector<const char*> point_codes_; ///< the problem that each point has; null: none
    const char* link_code_ = nullptr;      ///< the problem that the link has
    int silent_in_a_row_ = 0;

    std::vector<bool> sunspec_found_;   ///< by point: it has its addresses
    std::vector<SteadyTime> next_walk_; ///< by index of units: not before

    // of the call that runs
    std::vector<std::uint32_t> unplaced_; ///< SunSpec points that could not be found for now
    std::int64_t deadline_ms_ = 0;
    bool interrupted_ = false;
    bool link_failed_ = false;
    bool reopened_once_ = false;
    SteadyTime next_probe_{};    ///< of silent units, so that they take a small part of the line only
    SteadyTime hurried_until_{}; ///< someone fell silent: until then the others are waited for less long
    SteadyTime next_gap_trial_{};
    std::vector<things_reading> readings_;
    std::vector<std::string> texts_; ///< what readings_ and the last written value point to
    std::string written_;
};

} // namespace things
