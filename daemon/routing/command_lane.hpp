// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "routing/command_check.hpp"
#include "routing/command_run.hpp"
#include "routing/step_check.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

// The commands of one device, one at a time, each at its time. A hanging source holds up its own lanes only.
// Loop only. Everything in a lane is in the store; what it does in memory alone may be forgotten.
namespace things {

/// What a lane asks of the router.
/// Outlives its lanes. Its calls may lead back into the lane.
class CommandLaneHost {
public:
    virtual ~CommandLaneHost() = default;
    /// The device as configured now; null if it is gone.
    [[nodiscard]] virtual const DeviceConfig* find_device(const std::string& dvnuuid) const = 0;
    [[nodiscard]] virtual CheckContext context(const DeviceConfig& device) = 0;
    /// Sends up how a command ended. Called before that is stored: a crash in between tells it twice, not
    /// never.
    virtual void tell(const RunEnd& end) = 0;
    /// A command has ended and that is stored.
    virtual void on_end(const RunEnd& end) = 0;
};

///
/// An item waits until command_time says it is due; then
///   atomic downlink with max_step   StepCheck of all that are due, once
///   carry_out                       checked again, then a CommandRun writes
///   verify, look                    a CommandRun reads only
/// Whatever the end, the rest of an atomic downlink is refused unless it is `done`. A revert that fails waits
/// 10 s, doubling to 10 minutes, for ever.
class CommandLane {
public:
    CommandLane(RunPorts& ports, CommandLaneHost& host, std::string dvnuuid);

    /// Takes new commands, stored a moment ago. One that is stored as begun has not been written yet.
    /// Begins at once if the lane is free.
    void add(std::vector<Command> commands);
    /// Takes commands of before the start up: waiting ones are carried out, begun ones verified by reading
    /// back.
    void resume(std::vector<Command> commands);
    /// Reads the point of a repeated command, so that its outcome can be sent again.
    void look(Command command);
    /// Ends a command without carrying it out.
    /// The command need not be in the lane; its end is told and stored.
    void cancel(Command command, CommandState state, const std::string& verdict);
    /// A later command on the point makes the reverts of others needless.
    void drop_reverts(const std::string& point, std::uint64_t but_of_pack);

    /// Whether a set-point of this point has yet to fall back.
    [[nodiscard]] bool has_revert(const std::string& point) const;
    /// Whether the next command may begin at once.
    [[nodiscard]] bool is_free() const { return !busy_ && !stopped_ && items_.empty(); }
    [[nodiscard]] std::size_t waiting() const { return items_.size(); }
    /// Begins nothing any more; what runs goes on.
    void stop() { stopped_ = true; }
    /// Looks what is due. Called by itself whenever something changes; by the router after a reload.
    void proceed();

private:
    enum class Way : std::uint8_t { carry_out, verify, look };
    struct Item {
        Command command;
        Way way = Way::carry_out;
        std::int64_t not_before_boot_ms = 0; ///< a revert that failed waits before it is tried again
    };

    /// Also while a run is on, so that who waits hears of it in time.
    void end_what_is_over();
    [[nodiscard]] std::vector<Item>::iterator find_due();
    /// One wake-up, for the earliest item; an hour at most.
    void arm();
    void take(std::vector<Item>::iterator item);
    void carry_out(Command command);
    [[nodiscard]] bool begin_step_check(const Command& command, const DeviceConfig& device);
    void on_step_checked(const Command* refused, const std::string& reason);
    void run(Command command, const PointConfig& point, Way way);
    void on_run_end(RunEnd end);
    /// Stores and tells the end of a command, and draws what follows for reverts and the rest of its
    /// downlink.
    void settle(RunEnd end);
    void refuse_rest(const Command& culprit);
    /// A write that reached the point makes reverts of earlier downlinks needless; one that never began makes
    /// its own needless.
    void settle_reverts(const RunEnd& end);
    void store_end(RunEnd end);
    [[nodiscard]] bool has_main(std::uint64_t pack, const std::string& point) const;
    void forget(std::uint64_t pack);
    [[nodiscard]] std::int64_t wake_in(const Item& item) const;
    [[nodiscard]] std::vector<Item> extract(const std::function<bool(const Item&)>& match);
    /// Only the first failure of a row is logged.
    void try_again(Command revert, const std::string& reason);
    void put(Item item);

    RunPorts& ports_;
    CommandLaneHost& host_;
    std::string dvnuuid_;
    std::vector<Item> items_; ///< by id
    bool stopped_ = false;
    bool busy_ = false;
    std::int64_t armed_boot_ms_ = INT64_MAX; ///< the earliest wake-up on its way
    std::int64_t revert_pause_ms_ = 0;
    std::set<std::uint64_t> step_checked_;                    ///< packs whose steps were measured
    std::set<std::pair<std::uint64_t, std::string>> written_; ///< packs and points that a write has reached
    std::shared_ptr<CommandRun> run_;                         ///< shared: see CommandRun
    std::shared_ptr<StepCheck> step_check_;                   ///< shared: see StepCheck
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< held weakly by wake-ups and store calls
};

} // namespace things
