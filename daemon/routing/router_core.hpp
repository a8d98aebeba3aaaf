// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/token_bucket.hpp"
#include "routing/command_lane.hpp"
#include "routing/history.hpp"
#include "routing/refusals.hpp"
#include "routing/router.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

// The inside of the router: router.cpp takes answers in, router_end.cpp tells how commands ended. Loop only.
namespace things {

struct Downlink;

using LocalHandler = std::function<void(std::string, LocalEnd)>;

// One downlink an answer, fetched at once until there is none, but never a storm.
/// The post of a command's outcome fetches the next downlink; where none comes soon, a post of its own does.
inline constexpr Milliseconds outcome_patience{2000};
inline constexpr std::int64_t fetch_burst = 30, fetch_period_ms = 2000;
// Answers that are no downlink come with every post when a proxy or the platform is out of order.
inline constexpr std::int64_t malformed_burst = 10, malformed_period_ms = 60'000;

/// One device: its lane, and what was done with it lately.
/// Made when the device gets its first command or answer worth noting; stays until the end.
struct Desk {
    Desk(RunPorts& ports, CommandLaneHost& host, const std::string& dvnuuid) : lane(ports, host, dvnuuid) {}
    CommandLane lane;
    std::vector<Command> previous;              ///< commands of the device's previous downlink
    std::map<std::string, std::int64_t> writes; ///< by point: CLOCK_BOOTTIME of its last write
    bool is_remembered = false;                 ///< previous and writes were taken from the store
    TokenBucket fetches{fetch_burst, fetch_period_ms};
    TokenBucket malformed{malformed_burst, malformed_period_ms};
    Refusals refusals;
    int stores = 0; ///< under way: of commands that the lane does not know yet
    bool is_fetch_pending = false;
    bool is_fetch_due = false; ///< a downlink came, and nothing was posted since
};

/// A point of the device by name; null if it has none.
[[nodiscard]] const PointConfig* find_point(const DeviceConfig& device, const std::string& name);

class Router::Core : public CommandLaneHost {
public:
    Core(RouterPorts ports, const Config& config)
        : ports_(std::move(ports)), run_ports_{ports_.bus, ports_.store, ports_.clock, ports_.after, [this] {
                                                   return is_clock_trusted();
                                               }} {
        update(config);
    }

    void start();
    /// The body of any 2xx answer to a post of this device; nothing in it can throw.
    void on_answer(const std::string& name, std::string_view body);
    void on_broken_answer(const std::string& name, const std::string& reason);
    void on_late_answer(const std::string& dvnuuid, std::string_view body);
    /// A write by hand: the same checks, the same lane, the same audit; the handler hears the outcome once.
    void write_local(const std::string& name, const std::string& point, const std::string& text,
                     LocalHandler handler);
    /// Copies what routing needs; lanes go on with what they hold, checked again when its turn comes.
    void update(const Config& config);
    void stop();
    [[nodiscard]] RouterCounts counts() const;

    [[nodiscard]] const DeviceConfig* find_device(const std::string& dvnuuid) const override;
    /// As of this moment: good for one check, not to be kept.
    [[nodiscard]] CheckContext context(const DeviceConfig& device) override;
    void tell(const RunEnd& end) override;
    void on_end(const RunEnd& end) override;

private:
    [[nodiscard]] const DeviceConfig* find_name(const std::string& name) const;
    [[nodiscard]] bool is_clock_trusted() const {
        return !require_sync_ ||
               (ports_.is_clock_vouched ? ports_.is_clock_vouched() : ports_.clock.is_synchronised());
    }
    Desk& desk(const std::string& dvnuuid);
    /// Reads the store's memory, not flash; once a device.
    void remember(Desk& desk, const DeviceConfig& device, const std::vector<Command>& unfinished);
    /// Gives the downlink its number.
    Receipt receive(const DeviceConfig& device, const char* origin);

    void on_downlink(const DeviceConfig& device, const Downlink& downlink);
    /// True: the same as the device's previous downlink, within `repeat_window`; its outcome was sent again.
    bool take_repeat(const DeviceConfig& device, Desk& desk, const Downlink& downlink, CheckContext& context);
    /// Saves one of two commits before the write; what is stored as begun is verified, not repeated, after a
    /// crash.
    void begin_first(std::vector<Command>& commands, const DeviceConfig& device);
    /// Counted always, stored within a bound.
    void on_malformed(const DeviceConfig& device, Desk& desk, const std::string& reason);
    /// An audit line for a downlink as a whole.
    void refuse(const DeviceConfig& device, Desk& desk, const std::string& reason);
    /// Ends that are known already are told first: a crash then tells twice, not never.
    void store(std::vector<Command> commands, LocalHandler handler, bool is_downlink);
    /// The lane hears of commands only here, when flash has them or has refused.
    void on_stored(std::vector<Command> commands, const LocalHandler& handler, bool is_downlink);
    /// One more post, since the platform hands out one downlink an answer; within the bound per minute.
    void fetch_next(const std::string& dvnuuid);
    /// Nothing if an outcome was posted meanwhile: its answer brings the next downlink.
    void fetch_if_due(const std::string& dvnuuid);
    /// Urgent while the device's share of posts lasts; then it goes with the next pack.
    void send_up(const std::string& dvnuuid, Outcome outcome);

    /// A downlink of which nothing is allowed: counted and told; stored as far as it says something new.
    void refuse_all(Desk& desk, std::vector<Command> commands);
    /// Counts what was refused on receipt, and writes one line for all of a downlink.
    void note_refused(const std::vector<Command>& refused);

    void count(CommandState state);
    /// One line in the journal for each end, with fields to search by.
    void write_audit_line(const Command& command) const;

    RouterPorts ports_;
    RunPorts run_ports_;
    std::unordered_map<std::string, DeviceConfig> devices_; ///< by dvnuuid
    std::unordered_map<std::string, std::string> names_;    ///< device name to dvnuuid
    std::set<std::string> read_only_sources_;
    bool writes_ = true, require_sync_ = true, stopped_ = false;
    std::uint64_t last_pack_ = 0;
    RouterCounts counts_;
    std::unordered_map<std::uint64_t, LocalHandler> local_;        ///< by command id
    std::unordered_map<std::string, std::unique_ptr<Desk>> desks_; ///< by dvnuuid; lanes refer to run_ports_
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);   ///< held weakly by store calls and timers
};

} // namespace things
