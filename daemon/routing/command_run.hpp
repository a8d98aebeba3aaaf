// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/command.hpp"
#include "platform/after.hpp"
#include "platform/clock.hpp"
#include "routing/bus.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

// One command on its way from due to ended: largest step, begun, write, settle, read back, verdict. Loop
// only. Between `begun` and the end nothing may be repeated, so begun is on flash before the bus is asked.
namespace things {

/// A bus call that has not come back by then is given up, so that a hanging source costs its own devices
/// this long and no other device anything.
inline constexpr Milliseconds bus_patience = seconds(30);

/// What a run uses; all of it outlives the run.
/// Shared by all lanes of the router.
struct RunPorts {
    Bus& bus;
    CommandStore& store;
    const Clock& clock;
    After after;
    std::function<bool()> is_clock_trusted;
    bool is_stopping = false; ///< the bus answers no more; what began is verified at the next start
};

/// How a command ended, not stored yet. `read_at`: when `after` was read, if it was.
struct RunEnd {
    Command command;
    std::optional<Stamp> read_at;
    bool was_begun = false;
    bool was_silent = false; ///< it ended because the point could not be read
};

/// Owned by its lane; pending calls hold it weakly, which is why it is shared.
///
/// begin():   [max_step: read] -> store as begun -> write -> [settle] -> read back -> done | failed
/// verify():  read, up to five times 5 s apart -> done | failed
/// What is not to be read back (write_only, momentary) is done when the device has acknowledged it.
/// A write goes out once. Where its answer was lost, what reads back decides. A value that reads back
/// otherwise, or a lost answer where nothing can be read back, is written once more if the point says
/// `retry`. Every wait for the bus ends after bus_patience.
class CommandRun : public std::enable_shared_from_this<CommandRun> {
public:
    /// `point` is as configured when the run starts; a reload in between does not touch it. `on_end` is
    /// called once, and never from within the constructor.
    CommandRun(RunPorts& ports, Command command, PointConfig point, std::function<void(RunEnd)> on_end);

    void begin();  ///< of a command that is due and whose value was checked; it may be stored as begun
    void verify(); ///< of one that had begun when the daemon went down: reads, never writes
    /// Only reads the point and ends as it came, for a repeated command's outcome.
    void read_only();

private:
    void on_present(BusResult answer);
    void mark_begun();
    /// Goes on even if flash refused: the store's alarm says so, and a worn card must not lock the plant.
    void on_begun(bool stored);
    void write();
    /// A failed write is read back too: a lost answer is the commonest failure on a bus.
    void on_written(BusResult answer);
    /// Of a point that is not read back: the answer is all there is.
    void on_acknowledged();
    [[nodiscard]] bool is_read_back() const;
    void read_back();
    void on_read_back(BusResult answer);
    void on_mismatch();
    void on_verified(BusResult answer);
    void on_read_only(BusResult answer);
    void end(CommandState state, std::string verdict);
    [[nodiscard]] bool is_over() const;
    [[nodiscard]] std::string words(const Value& value) const;

    using Step = void (CommandRun::*)(BusResult);
    /// A handler for exactly this step; what comes later than the step is dropped.
    std::function<void(BusResult)> next(Step step);

    RunPorts& ports_;
    Command command_;
    PointConfig point_;
    std::function<void(RunEnd)> on_end_;
    std::uint64_t step_ = 0; ///< an answer to an older step is dropped
    Value expected_;         ///< what the plugin says the point should read back
    std::string write_error_;
    std::optional<Stamp> read_at_;
    bool was_begun_ = false, was_retried_ = false, was_silent_ = false;
    bool was_lost_ = false;               ///< the answer to the write; whether it was done is not known
    std::int64_t read_until_boot_ms_ = 0; ///< that what was lost may take to be read back
    int verify_tries_ = 0;
};

} // namespace things
