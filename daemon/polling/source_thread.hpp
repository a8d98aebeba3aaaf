// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/driver.hpp"
#include "polling/event_filter.hpp"
#include "polling/inbox.hpp"
#include "polling/intake.hpp"
#include "polling/outlet.hpp"
#include "polling/restarts.hpp"
#include "polling/schedule.hpp"
#include "polling/silence.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

// The life of one source, on its own thread: create, then carry out requests, poll what is due and listen,
// until the inbox is closed. What the loop may call is said so; everything else is the source's thread's.
namespace things {

///
/// Its states, as `status` shows them:
///   starting            until the plugin made its source
///   running             created; polls, listens, serves
///   restarting in N s   create failed or the plugin's process died; requests are answered as failed
///   hanging since N s   a call is past its deadline and the grace; requests are answered from outside
///   stopped             the inbox was closed, or something was thrown that nobody caught
class SourceThread final : public DriverSink {
public:
    using MakeDriver = std::function<std::unique_ptr<Driver>(const SourceWork&, DriverSink&)>;

    /// `clock` and `listener` are reached through the outlet only, so that abandon() can take them away.
    SourceThread(std::shared_ptr<const SourceWork> work, bool listens, bool polls,
                 const MakeDriver& make_driver, const Clock& clock, SourceListener& listener,
                 const SourceOptions& options);

    /// The thread's body. Catches everything.
    void run() noexcept;

    /// For the loop: asks, stops, and looks in from outside.
    [[nodiscard]] Inbox& inbox() { return inbox_; }
    [[nodiscard]] SourceStatus status();
    /// Tells once when a call takes longer than it may.
    void check();
    /// The thread hangs and is left behind: nothing it may still say is heard.
    void abandon();
    /// After run(), as the thread's last word to its listener.
    void tell_end() { outlet_.end(); }
    /// Something was thrown that restarting the plugin did not mend: nothing more is carried out.
    [[nodiscard]] bool is_broken() const { return is_broken_; }
    static constexpr const char* broken_text =
        "the source's thread has ended after a fault of the gateway; restart the gateway";

    void on_readings(std::vector<RawReading> readings) override;
    void on_garbage(std::uint64_t count, const std::string& why) override;
    void on_event(SourceEvent event) override;
    void on_problem(SettingProblem problem) override;
    void on_found(std::string json) override;
    void on_progress(double part) override;
    void on_patience(Milliseconds time) override;
    [[nodiscard]] bool is_clock_trusted() const override { return outlet_.is_clock_trusted(); }
    [[nodiscard]] bool is_interrupted() const override { return inbox_.is_interrupted(); }
    [[nodiscard]] bool is_stopping() const override { return inbox_.is_closed(); }
    [[nodiscard]] int wake_fd() const override { return inbox_.wake_fd(); }

private:
    // One turn: create if need be, one request, the points that are due, listening, until the next thing is
    // due.
    void turn();
    /// False: when to try again is set, requests are refused until then.
    bool create();
    void serve(Request request);
    void serve(const WriteRequest& request);
    void serve(const ReadRequest& request);
    void serve(const DiscoverRequest& request);
    /// What a call that was interrupted did not answer stays due. One that ran into its deadline without any
    /// answer does not, or it would be repeated for ever.
    void poll(std::int64_t now_ms);
    /// Until the next point is due. After failures it pauses, from 1 s doubling to 30 s.
    void listen(std::int64_t now_ms);
    /// Until `until_ms` (CLOCK_BOOTTIME), a request, or a sign of the host process; a minute at most.
    void wait(std::int64_t until_ms);
    /// Once a second: what the filters held back, aggregates whose window ended.
    void tidy(std::int64_t now_ms);
    /// Once a minute at most.
    void tell_refused(std::int64_t now_ms);
    /// Destroys the plugin's source and delivers the aggregates of the present window.
    void end();

    /// Every call of the plugin goes through here: its time limit, its count, what it emitted, whether it
    /// survived.
    CallResult call(Urgency urgency, const char* what, std::int64_t time_ms,
                    const std::function<CallResult()>& function);
    bool survived(const CallResult& result);
    /// Something was thrown in a turn: what was asked fails, and the plugin is started again.
    void stumble(const std::string& what);
    /// The plugin is beyond use in this process, or its host process ended: restart with back-off.
    void bury(const std::string& text);
    void go_down(const std::string& reason);
    /// With the words of the plugin's last complaint, if the host has none of its own.
    [[nodiscard]] BusResult outcome(const CallResult& result, std::uint32_t duration_us) const;
    /// Why a read that went well brought no value: the plugin's last reason, or what there is instead.
    [[nodiscard]] std::string why_empty(std::uint32_t point, std::string said) const;
    void look_for_silence(std::int64_t now_ms);
    /// Until when a call that begins now may last, CLOCK_MONOTONIC.
    [[nodiscard]] std::int64_t deadline_ms() const { return steady_ms() + call_time_ms_; }
    /// Any thread.
    [[nodiscard]] bool is_hanging(std::string& text);
    /// Those of which the present call said nothing: no reading, no problem of the point, its device or the
    /// source.
    [[nodiscard]] std::vector<std::uint32_t> unanswered(const std::vector<std::uint32_t>& points) const;
    void publish(const std::vector<SourceEvent>& events);
    /// A problem of the source itself, found by us rather than reported by the plugin.
    void complain(const std::string& code, const std::string& text);
    void set_state(std::string state, bool healthy);

    const std::shared_ptr<const SourceWork> shared_work_; // with Sources, which this thread may outlive
    const SourceWork& work_ = *shared_work_;
    const SourceOptions options_;
    const bool listens_, polls_;
    mutable Outlet outlet_; // a look at the clock remembers what it saw
    Inbox inbox_;
    Schedule schedule_;
    EventFilter events_;
    Intake intake_;
    Restarts restarts_;
    Silence silence_;
    std::unique_ptr<Driver> driver_;

    bool created_ = false;
    bool faulty_ = false; ///< we complained of the plugin itself
    std::int64_t create_at_ms_ = 0, listen_at_ms_ = 0, listen_pause_ms_ = 0, tidy_at_ms_ = 0;
    std::vector<SettingProblem> problems_;
    std::uint64_t refused_ = 0, flooded_ = 0; ///< since they were last told of
    std::string refused_why_;
    std::int64_t refused_told_ms_ = 0;
    int discoveries_ = 0;
    bool is_discovering_ = false; ///< what is wrong with the whole source then is for who asked
    std::set<std::string> found_;

    // The present call: which points and devices were heard of, and what was said last.
    std::uint64_t call_number_ = 0;
    std::vector<std::uint64_t> heard_points_, heard_devices_;
    std::uint64_t heard_source_ = 0, emitted_ = 0;
    std::string said_, noted_;       ///< as a problem, as a note
    std::string last_words_;         ///< on its standard error, also of an earlier call
    std::int64_t wanted_point_ = -1; ///< of a read by hand
    std::optional<PointReading> wanted_;

    // Seen from outside.
    std::atomic<std::int64_t> call_time_ms_, grace_ms_; ///< as the plugin's patience has it
    std::atomic<std::uint64_t> held_{0};                ///< unfinished windows
    std::atomic<bool> is_broken_{false}, is_in_discovery_{false};
    std::atomic<std::int64_t> call_until_ms_{0}, call_since_ms_{0}, progress_ms_{0}; ///< CLOCK_MONOTONIC
    std::atomic<std::int64_t> retry_at_ms_{0}; ///< CLOCK_BOOTTIME; 0: it is not down
    std::atomic<std::uint64_t> poll_count_{0}, reading_count_{0}, missed_{0}, restart_count_{0}, busy_us_{0};
    std::atomic<bool> hang_told_{false};
    std::mutex state_mutex_; ///< guards the two below
    std::string state_ = "starting";
    bool healthy_ = true;
    const char* call_name_ = "";
};

/// CLOCK_MONOTONIC in microseconds.
[[nodiscard]] std::int64_t steady_us();

} // namespace things
