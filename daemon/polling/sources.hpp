// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/plugin_directory.hpp"
#include "polling/work.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace things {

/// One running source and what the loop knows of it.
struct RunningSource {
    std::shared_ptr<const SourceWork> work; // with its source's thread, which outlives both if it hangs
    std::vector<SeriesId> series;           ///< by point
};

/// What the sources tell, on the loop.
/// None may be empty. `on_readings` may move the values out.
struct SourceHooks {
    /// The series of a point in the queue's catalogue; asked at each commit().
    std::function<SeriesId(const std::string& device, const PointConfig& point)> series_of;
    std::function<void(const RunningSource&, std::vector<PointReading>&)> on_readings;
    std::function<void(const RunningSource&, const SourceEvent&)> on_event;
    /// Readings were lost because the loop did not keep up: how many. Never in normal running.
    std::function<void(std::uint64_t)> on_flood;
};

/// All running sources: starts, stops and keeps them as the configuration asks, and carries what they produce
/// from their threads to the loop. Loop only; nothing here waits but join().
/// A change has three steps: prepare() finds out whether it can be had, commit() stops what was replaced, and
/// when that has ended (on the loop, a few seconds at most) what takes its place begins: never two on one
/// port, never a program twice. One that cannot be started is a problem of its own and is tried again each
/// minute.
/// A slot outlives its source, and the mailbox outlives both: threads put what they have into the mailbox
/// under its mutex, and one posted handler takes all of it out.
class Sources {
public:
    /// The loop and the clock outlive it. `options` as in polling/source.hpp.
    Sources(boost::asio::io_context& loop, const Clock& clock, SourceOptions options, SourceHooks hooks);
    ~Sources();
    Sources(const Sources&) = delete;
    Sources& operator=(const Sources&) = delete;

    /// How long a source that is stopped may take: a host process is ended after 5 s, `exec` gives its
    /// program 3 s.
    static constexpr Milliseconds stop_patience{5500};

    /// A source that cannot be started, and why.
    struct StartFailure {
        std::string source, reason;
    };
    /// Makes what `work` asks for beside what runs, as many more threads as it needs among it. Touches
    /// nothing that runs: a source whose work did not change goes on. Returns those that cannot be started
    /// and run, or did not run, so far. Follow with commit() or discard(). Not while is_changing().
    std::vector<StartFailure> prepare(Work work, PluginDirectory& plugins);
    void discard();
    /// Puts in place what was prepared. `done` gets the names of those that were started or stopped, once all
    /// that was stopped has ended and delivered, or was left behind; maybe before this returns.
    void commit(std::function<void(std::vector<std::string>)> done);
    /// Between commit() and the call of its `done`.
    [[nodiscard]] bool is_changing() const { return done_ != nullptr; }

    /// Null if there is none.
    /// Null also while it cannot be started, and for a source that no point uses. Valid until the next
    /// commit().
    [[nodiscard]] Source* find(std::string_view name) const;
    /// In the queue's catalogue; none if the device or the point does not exist.
    [[nodiscard]] std::optional<SeriesId> series(const std::string& device, const std::string& point) const;
    [[nodiscard]] std::vector<SeriesId> all_series() const;
    /// Null if the device or the point does not exist.
    [[nodiscard]] const PointConfig* find_point(const std::string& device, const std::string& point) const;

    /// Calls of the source that owns a point; the handler is called on the loop, with `unsupported` if there
    /// is no such point. What a reload overtakes before it began is asked of the new source.
    void write(const std::string& device, const std::string& point, Value value,
               std::int64_t not_after_boot_ms, std::function<void(BusResult)> handler);
    void read(const std::string& device, const std::string& point, std::function<void(BusResult)> handler);

    /// All of them, in the order of the configuration.
    /// `running` is valid until the next commit().
    struct View {
        const RunningSource* running;
        SourceStatus status;
    };
    [[nodiscard]] std::vector<View> view() const;

    /// Notices plugins that hang, tries again what could not be started; call every second or so.
    void check();
    /// Asks all to stop, for good; returns at once.
    void stop();
    /// Whether nothing of any source runs any more.
    [[nodiscard]] bool have_ended() const;
    /// Whether all have ended; waits no longer than `patience` in all, and leaves behind what has not.
    /// Blocks the loop: for the end of the daemon, after stop().
    bool join(Milliseconds patience);
    /// Delivers what has arrived and was not delivered yet.
    void drain();

private:
    class Mailbox;
    struct Slot;
    using AskAgain = std::function<void(std::function<void(BusResult)>)>;
    /// Wraps a handler so that it is called on the loop whatever thread the answer comes from.
    [[nodiscard]] std::function<void(BusResult)> on_loop(std::function<void(BusResult)> handler,
                                                         AskAgain again);
    void find_series(RunningSource& running) const;
    /// Makes a slot's source, and its thread if `with_thread`. False: the slot says why not.
    bool make(Slot& slot, bool with_thread);
    void begin(Slot& slot);
    void fail(Slot& slot, const std::string& reason);
    /// Takes what the sources have put into the mailbox; true if one of them has ended.
    bool deliver();
    /// The second half of commit(), as soon as nothing has to be waited for any more.
    void settle();
    template <typename Act>
    void for_each_source(const Act& act) const;
    Slot* find_slot(const std::string& device, const std::string& point, std::uint32_t& index) const;

    boost::asio::io_context& loop_;
    const Clock& clock_;
    SourceOptions options_;
    SourceHooks hooks_;
    std::shared_ptr<Mailbox> mailbox_; // shared with handlers posted to the loop, which may run after us
    std::vector<std::unique_ptr<Slot>> slots_;
    // What was prepared, in the order of the configuration: either a slot that goes on or a fresh one.
    std::vector<Slot*> kept_;
    std::vector<std::unique_ptr<Slot>> fresh_;
    std::vector<std::unique_ptr<Slot>> ending_; ///< replaced; they may still deliver
    std::vector<std::string> changed_;
    std::function<void(std::vector<std::string>)> done_;
    std::int64_t ending_until_ms_ = 0; ///< CLOCK_BOOTTIME
    bool is_stopping_ = false;
    std::unordered_map<std::string, PointAddress> addresses_; ///< by "DEVICE/POINT", into slots_
};

} // namespace things
