// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/counter_guard.hpp"
#include "p1/keys.hpp"

#include "link/interval_grid.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

// From telegrams to readings: each point at its own interval, values in the unit that is asked for, M-Bus
// readings and log entries once with their own time. Used on the source's thread; starts afresh with the
// process, so the entries of logs are reported again after a start.
namespace things {

/// When a telegram was there.
struct Arrival {
    std::int64_t monotonic_ms = 0;
    std::int64_t wall_ms = 0;
    bool is_wall_trusted = false;
};

class PointOutput {
public:
    PointOutput(PluginHost host, std::vector<P1Point> points, bool is_meter_clock);

    /// Emits what is due. `only`: these points and nothing else, due or not (a meter that is asked).
    void take(const Telegram& telegram, const Arrival& arrival,
              const std::vector<std::uint32_t>* only = nullptr);
    /// Emits the last value of each of these again, marked as unchanged. False if one of them never had a
    /// value.
    bool repeat(const std::vector<std::uint32_t>& points);
    /// After some telegrams: points that the meter does not send, as one note, once.
    void tell_missing();
    [[nodiscard]] const std::vector<P1Point>& points() const { return points_; }

private:
    struct State {
        IntervalGrid grid;
        std::optional<std::int64_t> capture; ///< reported last
        std::set<std::int64_t> entries;      ///< reported, of lists
        std::optional<CounterGuard> guard;
        bool has_value = false, has_mismatch = false, is_doubted = false;
        things_reading last{}; ///< text points into `text`
        std::string text, raw;
    };
    bool set_value(std::uint32_t index, const Picked& picked);
    [[nodiscard]] bool is_plausible(std::uint32_t index, const Picked& picked, const Arrival& arrival);
    void set_time(State& state, const Picked& picked, const Telegram& telegram, const Arrival& arrival) const;
    void take_point(std::uint32_t index, const Telegram& telegram, const Arrival& arrival, bool is_wanted);
    void watch_clock(const Telegram& telegram, const Arrival& arrival);

    PluginHost host_;
    std::vector<P1Point> points_;
    std::vector<State> states_;
    bool is_meter_clock_, is_missing_told_ = false, is_clock_wrong_ = false;
    std::int64_t skew_ms_ = 0; ///< to be added to the meter's times
};

} // namespace things
