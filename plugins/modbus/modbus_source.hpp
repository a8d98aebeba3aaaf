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
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// One source: a line or connection, its units and points. Everything here runs on the source's thread, one
// call at a time. The calls are spread over modbus_poll.cpp, modbus_readings.cpp, modbus_write.cpp and
// modbus_sunspec.cpp.
namespace things {

/// How a unit fares, and what it costs the line (UnitHealth):
///
///   unknown   never asked, or it missed one answer: asked once with a short patience, then in full
///   alive     asked first in every poll
///   dead      asked when its wait is over, while others answer for a sixteenth of the line's time
///
/// A silence costs all other devices of the line their time, so whatever waits is put behind what answers.
/// A request that fails while its unit answers another one is a fault of the request: it is suspected, its
/// points are asked one by one after all others, and what fails again is left out for a while.
class ModbusSource {
public:
    /// Null: problem() was told why. The link is opened by the first call that needs it.
    static std::unique_ptr<ModbusSource> make(const PluginHost& host, const things_source_config& config);
    ModbusSource(const PluginHost& host, ModbusSettings settings);

    /// One request after the other until all were sent, the deadline is over or the host interrupts; what is
    /// left then is due again. Each request's readings leave as soon as its answer is there. A point that is
    /// refused, silent or without a value was reported.
    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    /// Reads before it writes where the point is part of a register or has a scale factor: both in one turn
    /// on the bus, yet a second master could write between them. `written` is what the registers now hold,
    /// read back from the words sent; text in it lives until the next call.
    /// THINGS_TIMEOUT: whether the device took it is not known. Never sent again by the plugin, unless the
    /// device said that it was busy.
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);
    /// Closes the source's own link for it.
    int discover(const PluginSettings& options, std::int64_t deadline_ms);
    int plan();

private:
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
    /// At most 32 are kept, those used last. Made anew when a lesson was learned, or when a request came to
    /// be worth twice or half as many bytes.
    struct CachedPlan {
        std::vector<std::uint32_t> points;
        std::uint64_t epoch = 0;
        double request_bytes = 0; ///< of the cost model it was made with
        std::uint64_t used = 0;
        PollPlan plan;
    };
    /// How a call goes on after a request.
    /// go_on: it was answered, perhaps by an exception. later: not asked, an older answer may still come.
    /// failed: not answered; failure_ says how, and whose fault it is shows by asking for something else.
    /// stop: the call ends, link_failed_ or interrupted_ says why.
    enum class Next : std::uint8_t { go_on, later, failed, stop };
    struct Failure {
        BusRequest request;
        Exchange result;
        BusTiming timing;
        std::chrono::nanoseconds cost{0};
    };
    /// Where a call ended, so that the next one goes on there.
    struct Place {
        std::uint32_t unit = 0;
        RegisterTable table = RegisterTable::coil;
        std::uint32_t first = 0;
        // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 mistakes what the compiler makes of it
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    /// How units that are not known to live are asked.
    /// glance: at least 50 ms, or four times what it used to take. contact: a full timeout, at a quarter of
    /// the line's time. probe: a full timeout, at a sixteenth. Where nobody answers a poll spends 3 s on the
    /// silent instead.
    enum class Stage : std::uint8_t { glance, contact, probe };

    // link
    /// False: link_failed_ or interrupted_ says why.
    [[nodiscard]] bool open_link();
    /// Of a call that cannot go on.
    [[nodiscard]] int why_over() const { return link_failed_ ? THINGS_FAILED : THINGS_INTERRUPTED; }
    void report_link(const LinkTrouble& trouble);
    [[nodiscard]] bool is_over() const;
    [[nodiscard]] BusTiming timing_of(const UnitSettings& unit, int silent_retries) const;
    [[nodiscard]] Exchange ask(const BusRequest& request, const BusTiming& timing);
    /// After a loss, as often as requests succeed.
    [[nodiscard]] bool reopen_link();
    [[nodiscard]] bool await_reopening();
    /// At the beginning of a call.
    void begin(std::int64_t deadline_ms);
    void tell_note();

    // polling
    [[nodiscard]] const PollPlan& plan_for(const std::uint32_t* points, std::uint32_t count);
    int run(const PollPlan& plan);
    /// Gives what missed its answer to `late`: those are asked again when all others had their turn.
    Next run_alive(const PollPlan& plan, std::vector<const PlannedRequest*>& late);
    /// The units of `late` a second time, with the rest of their retries.
    Next run_late(const std::vector<const PlannedRequest*>& late);
    /// The unknown and the dead, stage by stage, as far as the line's time allows.
    Next run_others(const PollPlan& plan);
    Next run_unit(const PollPlan& plan, std::uint8_t unit, Stage stage);
    [[nodiscard]] bool is_at(Stage stage, const PollPlan& plan, const PlannedRequest& request) const;
    /// Requests of one unit, one after the other. What fails while the unit answers others is suspected; if
    /// it answers nothing more, it is silent.
    Next read_all(const std::vector<const PlannedRequest*>& requests, int silent_retries);
    /// Points that are asked alone, since they or their neighbours were not answered.
    Next run_trials();
    Next run_trial(std::uint32_t point);
    /// Asks for what the unit answered last, or for one of its points where `failed` asked for just that.
    /// Nothing: there is nothing else to ask for.
    std::optional<Next> ask_known(std::uint8_t unit, const PlannedRequest& failed);
    /// One that failed twice in this call is left out at once if it holds one point.
    void suspect(const PlannedRequest& request, const Failure& failure);
    void leave_out(std::uint32_t point, const PlannedRequest& request, const Failure& failure);
    /// It answered in this call or a moment before: then what fails is a request.
    [[nodiscard]] bool was_there(const UnitState& unit) const;
    /// A request that may find out whether a unit is there: at the first turn the shortest of the plan, then
    /// what it answered last, then its points, from both ends.
    [[nodiscard]] PlannedRequest probe_of(const PollPlan& plan, std::uint8_t unit) const;
    [[nodiscard]] std::optional<PlannedRequest> point_probe(std::uint8_t unit) const;
    [[nodiscard]] PlannedRequest alone(std::uint32_t point) const;
    [[nodiscard]] bool may_fail_again(std::uint8_t unit) const;
    /// "holding registers 4 and 124 (40005, 40125)": neighbours of a register that can be read.
    [[nodiscard]] std::string answered_beside(const PlannedRequest& request) const;
    /// One exchange and all that follows from it but the verdict on a failure: readings, reports, lessons.
    Next read(const PlannedRequest& request, int silent_retries);
    Next narrow(const PlannedRequest& request, std::uint8_t code);
    void refuse(const PlannedRequest& request, std::uint8_t code);
    void emit(const PlannedRequest& request, const Exchange& result);
    void emit_point(const PlannedRequest& request, const PlannedPoint& planned, const Exchange& result);
    void on_answer(std::uint8_t unit);
    void learn_usual(std::uint8_t unit, std::uint32_t us);
    [[nodiscard]] std::chrono::milliseconds short_patience(const UnitSettings& unit) const;
    [[nodiscard]] bool may_wait_for(std::uint8_t unit, std::chrono::nanoseconds spent) const;
    void on_silence(const PlannedRequest& request, const Failure& failure);
    [[nodiscard]] Next fail(const PlannedRequest& request, Failure failure);
    /// `beside`: registers of the unit that are answered, if it is the request that fails.
    [[nodiscard]] BusExplanation explain(const Failure& failure, const std::string& beside = "") const;
    void report_unit(const UnitState& unit);
    /// At most one request a poll, and one every 10 s.
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
    /// Fills the spans of all SunSpec points of a unit; what it does not find is looked for again after ten
    /// minutes, after five seconds if the device was busy or failing.
    [[nodiscard]] bool walk_sunspec(std::uint32_t unit);
    struct SunspecModel {
        std::uint16_t id = 0;
        std::uint32_t first = 0; ///< address of its id register
        std::uint16_t length = 0;
    };
    enum class Chain : std::uint8_t { words, refused, stop };
    [[nodiscard]] Chain read_chain(std::uint32_t unit, std::uint32_t address,
                                   std::array<std::uint16_t, 2>& words, std::string& why);
    void place_sunspec(std::uint32_t unit, bool marked, const std::vector<SunspecModel>& models,
                       const std::string& trouble);

    // writing
    [[nodiscard]] int write_payload(std::uint32_t point, const std::vector<std::uint16_t>& payload);
    [[nodiscard]] int await_done(std::uint32_t point, const BusRequest& request);
    /// Status of the contract; `current` and `power` are good with THINGS_OK alone.
    [[nodiscard]] int read_around(std::uint32_t point, std::vector<std::uint16_t>& current, int& power);

    PluginHost host_;
    ModbusSettings settings_;
    ModbusBus bus_;
    UnitTable units_;
    RegisterLessons lessons_;
    std::vector<CachedPlan> plans_;
    std::uint64_t polls_ = 0;
    std::vector<const char*> point_codes_; ///< the problem that each point has; null: none
    std::map<std::uint32_t, std::string> point_texts_;
    std::vector<bool> was_read_; ///< by point
    std::uint64_t call_ = 0;
    std::optional<Place> resume_;     ///< where the last call was cut off
    const char* link_code_ = nullptr; ///< the problem that the link has
    bool has_worked_ = false;         ///< something was answered since it had one
    int silent_in_a_row_ = 0;

    std::vector<bool> sunspec_found_;   ///< by point: it has its addresses
    std::vector<SteadyTime> next_walk_; ///< by index of units: not before

    // of the call that runs
    std::vector<std::uint32_t> unplaced_; ///< SunSpec points that could not be found for now
    std::int64_t deadline_ms_ = 0;
    bool interrupted_ = false;
    bool link_failed_ = false;
    int reopenings_ = 0;     ///< that may still be tried; an answer gives new ones
    bool wants_raw_ = false; ///< one point was asked for, by hand perhaps
    std::vector<std::uint32_t> asked_;
    Failure failure_;                    ///< of the last request that failed
    std::chrono::nanoseconds wasted_{0}; ///< on such requests
    std::vector<Place> failed_;          ///< those requests
    SteadyTime next_probe_{};            ///< of silent units, so that they take a small part of the line only
    SteadyTime hurried_until_{}; ///< someone fell silent: until then the others are waited for less long
    SteadyTime next_gap_trial_{};
    std::vector<things_reading> readings_;
    std::vector<std::string> texts_; ///< what readings_ and the last written value point to
    RegisterValue written_;
};

} // namespace things
