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
    /// The series of a point in the queue's catalogue; asked at each apply().
    std::function<SeriesId(const std::string& device, const PointConfig& point)> series_of;
    std::function<void(const RunningSource&, std::vector<PointReading>&)> on_readings;
    std::function<void(const RunningSource&, const SourceEvent&)> on_event;
    /// Readings were lost because the loop did not keep up: how many. Never in normal running.
    std::function<void(std::uint64_t)> on_flood;
};

/// All running sources: starts, stops and keeps them as the configuration asks, and carries what they produce
/// from their threads to the loop. Loop only.
/// A slot outlives its source, and the mailbox outlives both: threads put what they have into the mailbox
/// under its mutex, and one posted handler takes all of it out.
class Sources {
public:
    /// The loop and the clock outlive it. `options` as in polling/source.hpp.
    Sources(boost::asio::io_context& loop, const Clock& clock, SourceOptions options, SourceHooks hooks);
    ~Sources();
    Sources(const Sources&) = delete;
    Sources& operator=(const Sources&) = delete;

    /// Makes what runs equal to `work`: a source whose work did not change goes on undisturbed, others are
    /// stopped (what they emitted is still delivered) and started anew. Blocks for up to a second in
    /// all. Returns the names of those that were started or stopped.
    /// Throws what make_source and start throw; what was started before stays.
    std::vector<std::string> apply(Work work, PluginDirectory& plugins);

    /// Null if there is none.
    /// Null also for a source that no point uses. Valid until the next apply().
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
    /// `running` is valid until the next apply().
    struct View {
        const RunningSource* running;
        SourceStatus status;
    };
    [[nodiscard]] std::vector<View> view() const;

    /// Notices plugins that hang; call every second or so.
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
    void stop_slots();
    void find_series(RunningSource& running) const;
    Slot* find_slot(const std::string& device, const std::string& point, std::uint32_t& index) const;

    boost::asio::io_context& loop_;
    const Clock& clock_;
    SourceOptions options_;
    SourceHooks hooks_;
    std::shared_ptr<Mailbox> mailbox_; // shared with handlers posted to the loop, which may run after us
    std::vector<std::unique_ptr<Slot>> slots_;
    bool is_stopping_ = false;
    std::unordered_map<std::string, PointAddress> addresses_; ///< by "DEVICE/POINT", into slots_
};

} // namespace things
