// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "modbus/point_reports.hpp"
#include "modbus/source_line.hpp"
#include "modbus/unit_states.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// One request and all that follows from its answer: readings, reports, and lessons on what the device does
// not have. Whose fault it is when nothing is answered its caller finds out. Owned by the source, used on its
// thread.
namespace things {

class RequestReader {
public:
    RequestReader(const PluginHost& host, const ModbusSettings& settings, SourceLine& line, UnitStates& units,
                  RegisterLessons& lessons, PointReports& reports);

    /// How a call goes on after a request.
    /// go_on: it was answered, perhaps by an exception. later: not asked, an older answer may still come.
    /// failed: not answered; failure() says how, and whose fault it is shows by asking for something else.
    /// stop: the call ends, the line says why.
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
    /// In the place of a number of repeats. no_verdict: a silence is no failure yet, the unit is asked again
    /// after the others. glance: the same, with a short patience.
    static constexpr int no_verdict = -1, glance = -2;

    /// At the beginning of a poll. `wants_raw`: one point was asked for, by hand perhaps.
    void begin(bool wants_raw);
    Next read(const PlannedRequest& request, int silent_retries);
    /// It was asked for in vain, while its unit answers other requests: its points are to be asked alone. One
    /// that failed twice in this call is left out at once if it holds one point.
    void suspect(const PlannedRequest& request, const Failure& failure);
    void leave_out(std::uint32_t point, const PlannedRequest& request, const Failure& failure);
    /// Its unit answers nothing.
    void on_silence(const PlannedRequest& request, const Failure& failure);

    [[nodiscard]] bool wants_raw() const { return wants_raw_; }
    /// Of the last request that failed.
    [[nodiscard]] const Failure& failure() const { return failure_; }
    /// On requests that failed in this call.
    [[nodiscard]] std::chrono::nanoseconds wasted() const { return wasted_; }
    [[nodiscard]] std::optional<Place> take_place() { return std::exchange(resume_, std::nullopt); }

private:
    [[nodiscard]] Next fail(const PlannedRequest& request, Failure failure);
    Next on_exception(const PlannedRequest& request, const BusRequest& frame, std::uint8_t code);
    Next narrow(const PlannedRequest& request, std::uint8_t code);
    void refuse(const PlannedRequest& request, std::uint8_t code);
    void on_data(const PlannedRequest& request, const Exchange& result);
    void emit_point(const PlannedPoint& planned, const Exchange& result);
    /// False: the answer to an older request may still come, and would be taken for this one's.
    [[nodiscard]] bool is_clear(const PlannedRequest& request, const BusRequest& frame);
    /// `beside`: registers of the unit that are answered, if it is the request that fails.
    [[nodiscard]] BusExplanation explain(const Failure& failure, const std::string& beside = "") const;
    /// "holding registers 4 and 124 (40005, 40125)": neighbours of a register that can be read.
    [[nodiscard]] std::string answered_beside(const PlannedRequest& request) const;
    [[nodiscard]] const UnitSettings& unit_of(const PlannedRequest& request) const {
        return settings_.units[request.unit];
    }

    const PluginHost& host_;
    const ModbusSettings& settings_;
    SourceLine& line_;
    UnitStates& units_;
    RegisterLessons& lessons_;
    PointReports& reports_;
    std::vector<bool> was_read_;  ///< by point
    std::optional<Place> resume_; ///< where the last call was cut off

    // of the call that runs
    bool wants_raw_ = false;
    Failure failure_;
    std::chrono::nanoseconds wasted_{0};
    std::vector<Place> failed_; ///< those requests
    std::vector<things_reading> readings_;
    std::vector<std::string> texts_; ///< what readings_ points to
};

} // namespace things
