// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The plugin as a source's thread sees it: the same calls whether its table is in this process (local_driver)
// or behind a socket pair (remote_driver). Everything here happens on the source's thread, one call at a
// time.
namespace things {

/// A reading as it came from the plugin, copied and well-formed, but not yet believed.
struct RawReading {
    std::uint32_t point = 0;
    Value value;
    std::optional<std::int64_t> own_time_ms; ///< since the Unix epoch, if the device says when
    std::uint32_t duration_us = 0;
    std::string raw;
    bool unchanged = false; ///< reported before: of use only to who asks by hand
    friend bool operator==(const RawReading&, const RawReading&) = default;
};

/// Where what a plugin says goes to, during a call of the driver.
class DriverSink {
public:
    virtual ~DriverSink() = default;
    /// Calls come from within a call of the driver, in the order in which the plugin spoke; none may throw or
    /// block for long.
    virtual void on_readings(std::vector<RawReading> readings) = 0;
    /// Readings that could not be taken over, and why.
    virtual void on_garbage(std::uint64_t count, const std::string& why) = 0;
    /// Level and index are the plugin's claim, and still to be checked against the work.
    virtual void on_event(SourceEvent event) = 0;
    /// During create only.
    virtual void on_problem(SettingProblem problem) = 0;
    /// During discover and plan only; one JSON object, not parsed yet.
    virtual void on_found(std::string json) = 0;
    /// 0 to 1.
    virtual void on_progress(double part) = 0;
    /// During create only: the longest that one step of a call may take.
    virtual void on_patience(Milliseconds) {}
    /// Whether the gateway believes the system clock. Any thread.
    [[nodiscard]] virtual bool is_clock_trusted() const { return false; }
    /// True while the present call should return early.
    [[nodiscard]] virtual bool is_interrupted() const = 0;
    /// True once the source is to end.
    [[nodiscard]] virtual bool is_stopping() const = 0;
    /// Readable while `is_interrupted`.
    [[nodiscard]] virtual int wake_fd() const = 0;
};

/// How a call ended. `dead`: the plugin is gone (its process ended or was ended) and must be created anew.
///
///   ok            done; readings came, or not
///   interrupted   returned early because is_interrupted() said so
///   failed        the device or the link did not do it, or the plugin threw
///   refused       the device said no
///   timeout       no answer in time
///   invalid       configuration or argument wrong
///   unsupported   the plugin does not offer it; it was not called
///   dead          see above; only from a plugin in a process of its own
struct CallResult {
    enum class Status : std::uint8_t {
        ok,
        interrupted,
        failed,
        refused,
        timeout,
        invalid,
        unsupported,
        dead
    };
    Status status = Status::ok;
    std::string text;             ///< why it is dead, or what the host found wrong; usually empty
    std::optional<Value> written; ///< of write: the value as it should read back
};

/// Deadlines are milliseconds of CLOCK_MONOTONIC. No call throws.
class Driver {
public:
    virtual ~Driver() = default;
    /// Makes the source, after ending one that there was. Must come first; no other call is made without a
    /// source.
    virtual CallResult create() = 0;
    /// Ends it; may take seconds in a plugin that hangs. Nothing happens without a source.
    virtual void destroy() = 0;
    /// Reads these points once. Returns by the deadline, as far as the plugin keeps the contract; a process
    /// is ended if it does not.
    virtual CallResult poll(const std::vector<std::uint32_t>& points, std::int64_t deadline_ms) = 0;
    virtual CallResult listen(std::int64_t deadline_ms) = 0;
    /// `value` is the raw one, labels already undone.
    virtual CallResult write(std::uint32_t point, const Value& value, std::int64_t deadline_ms) = 0;
    virtual CallResult discover(const std::vector<Setting>& options, std::int64_t deadline_ms) = 0;
    virtual CallResult plan() = 0;
    /// To wait on between calls; -1: nothing to wait for. When readable call `attend`, which says whether the
    /// plugin still is there.
    [[nodiscard]] virtual int attention_fd() const { return -1; }
    virtual CallResult attend() { return {}; }
};

/// More than this no plugin may take for one step.
constexpr Milliseconds longest_patience{600'000};
/// A discovery that finds nothing and does not say how far it is for this long counts as hanging.
constexpr Milliseconds discover_silence{120'000};

/// CLOCK_MONOTONIC in milliseconds.
[[nodiscard]] std::int64_t steady_ms();

} // namespace things
