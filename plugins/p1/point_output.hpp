// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/counter_guard.hpp"
#include "p1/keys.hpp"

#include "link/interval_grid.hpp"
#include "link/source_problems.hpp"

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

/// Keeps for each point the last value, the capture time last reported and, of lists, at most 4096 entries.
/// What the meter marks as not valid is not reported.
class PointOutput {
public:
    /// `problems` must outlive it.
    PointOutput(PluginHost host, SourceProblems& problems, std::vector<P1Point> points, bool is_meter_clock);

    /// Emits what is due. `only`: these points and nothing else, due or not (a meter that is asked).
    /// A value with a capture time of its own goes out at most once for each capture. `is_meter_clock`:
    /// readings carry the meter's time as it is; else capture times of M-Bus devices are put right where the
    /// meter is more than five minutes off a gateway clock that can be trusted. Entries of lists keep the
    /// time that the meter gave them.
    void take(const Telegram& telegram, const Arrival& arrival,
              const std::vector<std::uint32_t>* only = nullptr);
    /// Emits the last value of each of these again, marked as unchanged. False if one of them never had a
    /// value.
    /// The wall time of the capture is kept.
    bool repeat(const std::vector<std::uint32_t>& points);
    /// After some telegrams: points that the meter does not send, as one note, once.
    /// The caller waits for some telegrams before: not every object comes with each.
    void tell_missing();
    /// To the host, of each point that had no value in so many telegrams.
    void tell_reasons(std::uint64_t telegrams) const;
    [[nodiscard]] const std::vector<P1Point>& points() const { return points_; }

private:
    /// Readings in `last` point into `text` and `raw` of the same state: states_ is never resized after the
    /// start.
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
    /// False: a counter that the guard does not believe yet; told once.
    [[nodiscard]] bool is_plausible(std::uint32_t index, const Picked& picked, const Arrival& arrival);
    void set_time(State& state, const Picked& picked, const Telegram& telegram, const Arrival& arrival) const;
    void take_point(std::uint32_t index, const Telegram& telegram, const Arrival& arrival, bool is_wanted);
    /// Tells when the meter's clock is wrong, and when it is right again; keeps skew_ms_.
    void watch_clock(const Telegram& telegram, const Arrival& arrival);

    PluginHost host_;
    SourceProblems& problems_;
    std::vector<P1Point> points_;
    std::vector<State> states_;
    bool is_meter_clock_, is_missing_told_ = false, is_clock_wrong_ = false;
    std::int64_t skew_ms_ = 0; ///< to be added to the meter's times
};

} // namespace things
