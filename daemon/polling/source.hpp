// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "model/bus_result.hpp"
#include "model/reading.hpp"
#include "platform/clock.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// One configured plugin instance at work: a thread of its own in this process, or a host process behind a
// socket pair. Polls what is due, listens, writes, reads by hand and discovers; commands go before reads.
namespace things {

class PluginLibrary;

/// A device as one source sees it: the settings of its plugin.
struct SourceDevice {
    std::string name;
    std::vector<Setting> settings;
};

/// A point as its source sees it.
struct SourcePoint {
    std::uint32_t device = 0; ///< index into SourceWork::devices
    PointConfig config;
};

/// Everything a source needs to know. Made by the gateway from the configuration.
/// Points stand in the order of the configuration, grouped by device. Immutable once a source was made of it.
struct SourceWork {
    SourceConfig config;
    std::vector<SourceDevice> devices;
    std::vector<SourcePoint> points;
    /// Folders with secrets, configuration, queue and control socket: never shown to a plugin's process.
    std::vector<std::filesystem::path> hidden = {};
};

/// A value that came from a plugin, after labels were applied.
/// `raw` and `duration_us` are for who asked by hand; they go no further than the command line.
struct PointReading {
    std::uint32_t point = 0; ///< index into SourceWork::points
    Value value;
    Stamp stamp;
    bool report = true; ///< passed the point's `report` rules: goes into the queue
    std::uint32_t duration_us = 0;
    std::string raw; ///< what came over the wire, if the plugin says
};

/// What a source or something behind it went through, in words. `code` is stable; `text` is for people.
/// `recovered` ends the `problem` of the same level and index; a `note` stands alone. A `reason` says why
/// there is no value yet and stays within the source's thread until somebody asks.
struct SourceEvent {
    enum class Kind : std::uint8_t { problem, recovered, note, reason };
    Kind kind = Kind::note;
    Level level = Level::source;
    std::uint32_t index = 0; ///< device or point index of SourceWork; 0 for the source
    std::string code, text;
    std::uint64_t count = 1; ///< how often since it began
};

/// What the status page shows of a source. A snapshot.
/// Counters are since the source was made; a reload that changes it makes a new one.
struct SourceStatus {
    std::string state; ///< "running", "starting", "hanging since 12 s", "restarting in 4 s: ...", "stopped"
    bool healthy = true;
    std::uint64_t polls = 0, readings = 0, missed = 0, restarts = 0;
    std::uint64_t busy_us = 0;         ///< time spent in calls of the plugin
    std::int64_t progress_boot_ms = 0; ///< last time the source's thread was seen alive
};

/// Receives what a source produces. Called on the source's thread; must not block.
class SourceListener {
public:
    virtual ~SourceListener() = default;
    virtual void on_readings(std::vector<PointReading> readings) = 0;
    virtual void on_event(SourceEvent event) = 0;
    /// Aggregates of windows that had not ended were lost with a thread that hangs: how many.
    virtual void on_lost(std::uint64_t) {}
    /// The source has ended: nothing more comes. Not called if its thread is left behind.
    virtual void on_end() {}
};

/// A running source. Calls are for the loop; handlers are called on the source's thread, each exactly once.
class Source {
public:
    /// Waits for up to 5 s, then leaves a hanging thread behind.
    virtual ~Source() = default; ///< stops first if need be
    /// Starts the thread or process. Mistakes only the plugin can find were found by `validate` before.
    /// Once. Throws std::system_error if no thread can be made.
    virtual void start() = 0;
    /// Makes the thread, which then waits for start(): what cannot be had is found before anything else is
    /// stopped for it. Throws as start() does.
    virtual void prepare() = 0;
    /// Writes one point, before anything else that waits. A write that has not begun at `not_after_boot_ms`
    /// (CLOCK_BOOTTIME; it waited behind a hanging call) is not begun any more and ends as `timeout`.
    virtual void write(std::uint32_t point, Value value, std::int64_t not_after_boot_ms,
                       std::function<void(BusResult)> handler) = 0;
    /// Reads one point outside its schedule, after writes and before polls.
    /// Answers also points that are only reported on change; the reading itself does not go into the queue.
    virtual void read(std::uint32_t point, std::function<void(BusResult)> handler) = 0;
    /// Looks around on the bus; `on_found` gets JSON lines, `on_done` an error text or "".
    /// At most ten minutes. A command or a read interrupts it; it then starts over, and what it finds again
    /// is left out.
    virtual void discover(std::vector<Setting> options, std::function<void(std::string)> on_found,
                          std::function<void(double)> on_progress,
                          std::function<void(std::string)> on_done) = 0;
    /// Asks the source to stop; returns at once.
    virtual void stop() = 0;
    /// Whether nothing of it runs any more.
    [[nodiscard]] virtual bool has_ended() const = 0;
    /// Waits for the end. False if it hangs past the deadline: its thread is left behind, its library stays
    /// loaded.
    virtual bool join(Milliseconds deadline) = 0;
    [[nodiscard]] virtual SourceStatus status() const = 0;
    /// Call every second or so: notices a plugin that hangs, says so through the listener and answers what
    /// waits for it. The only case in which listener and handlers are called on the caller's thread.
    virtual void check() = 0;
};

/// What a source needs from its surroundings, beside its configuration.
/// Defaults are those of the daemon.
struct SourceOptions {
    std::function<Stamp()> now; ///< stamps readings; any thread, cheap. Empty: the clock's wall time
    std::function<bool()> is_clock_trusted; ///< for plugins; any thread, cheap. Empty: never
    std::filesystem::path host_executable =
        "/proc/self/exe"; ///< runs `plugin-host` (polling/plugin_host.hpp)
    std::int64_t host_memory = std::int64_t{256} * 1024 * 1024; ///< bytes of data of a host process
    bool harmless_host = false;          ///< run by root, a host process becomes the service's user or nobody
    Milliseconds call_time = seconds(5); ///< deadline of one poll, read or write
    Milliseconds grace = seconds(3);     ///< past its deadline by this much a call counts as hanging
    Milliseconds silence = seconds(60);  ///< without a value for this long, and three intervals: silent
};

/// Makes a source in a thread of this process, or in a host process where the configuration asks for one.
/// `clock` and `listener` outlive it; a thread that hangs past `join` never reaches the listener again.
/// The work is shared by the caller and the source's thread, which may hang and outlive everybody.
/// Throws std::runtime_error if `isolation: none` asks for a plugin that cannot be loaded here.
std::unique_ptr<Source> make_source(std::shared_ptr<const SourceWork> work,
                                    std::shared_ptr<const PluginLibrary> library, const Clock& clock,
                                    SourceListener& listener, const SourceOptions& options = {});
/// The same with work of its own.
std::unique_ptr<Source> make_source(SourceWork work, std::shared_ptr<const PluginLibrary> library,
                                    const Clock& clock, SourceListener& listener,
                                    const SourceOptions& options = {});

/// A mistake in a plugin's settings, found by the plugin itself.
struct SettingProblem {
    Level level = Level::source;
    std::uint32_t index = 0;
    std::string key, message;
};

/// Lets the plugin check its settings without touching a device, and say how it will read the points (JSON
/// lines; empty where the plugin has nothing to say). For `check` and before a start or reload.
struct Validation {
    std::vector<SettingProblem> problems;
    std::vector<std::string> plan;
    std::string failure; ///< the plugin's process died or hung over it: no fault of the configuration
};
/// Blocks: a create and a plan, up to some 15 s with a plugin in a process that hangs.
Validation validate(const SourceWork& work, const PluginLibrary& library, const SourceOptions& options = {});

} // namespace things
