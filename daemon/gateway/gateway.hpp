// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/https.hpp"
#include "delivery/uploader.hpp"
#include "gateway/checked_config.hpp"
#include "gateway/control_verbs.hpp"
#include "gateway/device_names.hpp"
#include "gateway/reload.hpp"
#include "gateway/side_doors.hpp"
#include "gateway/source_bus.hpp"
#include "gateway/stage_alarms.hpp"
#include "gateway/status_view.hpp"
#include "platform/clock.hpp"
#include "platform/descriptor_reserve.hpp"
#include "platform/link_watch.hpp"
#include "polling/sources.hpp"
#include "queue/queue.hpp"
#include "routing/router.hpp"
#include "status/live_values.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <random>
#include <string>
#include <vector>

// The daemon: the only place that joins the stages. Its members stand in the order in which a reading flows,
// from the sources to the platform and back; they end in reverse. Everything here runs on the loop.
namespace things {

/// `run` owns the only instance. It starts no thread of its own; its members do. `start` and `run` are called
/// on the thread that made it, everything else on the loop.
class Gateway {
public:
    /// Opens the queue. Throws std::runtime_error if it cannot be had.
    /// Blocks for the queue's recovery: milliseconds, minutes with a damaged one. `clock` outlives it.
    /// `refusal`: what is wrong with the configuration on disk, if `config` is an older one.
    Gateway(CheckedConfig config, const Clock& clock, Reload::Load load, const std::string& refusal = {});
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    /// Once. Starts sources, uploads and commands; tells the service manager last. Throws std::exception.
    void start();
    /// How run() ended. `must_start_anew`: by itself, because only a new start can merge two queues.
    /// `flash_stalled`: stopped, but a write to flash that does not end holds a thread: the process must end
    /// without destroying this object.
    enum class End : std::uint8_t { stopped, must_start_anew, flash_stalled };
    /// Runs until SIGTERM or SIGINT; SIGHUP reloads. Returns when everything is stored.
    /// After a signal it takes up to 13.5 seconds: 5.5 for the sources, 3 for uploads, 5 for the last commit.
    [[nodiscard]] End run();

private:
    // What each stage may ask of the others. The hooks refer to this object and end with their stage.
    [[nodiscard]] static HttpsSettings upload_settings(const ThingsConfig& things);
    [[nodiscard]] UploadHooks upload_hooks();
    [[nodiscard]] RouterPorts router_ports();
    [[nodiscard]] SourceOptions source_options();
    [[nodiscard]] SourceHooks source_hooks();

    // What happens
    /// The path of a reading: shown, queued, its device's uploads told.
    void on_readings(const RunningSource& source, std::vector<PointReading>& readings);
    /// What a command left at its point is a reading like any other, only more urgent.
    void on_outcome(const Outcome& outcome);
    void wait_second();
    /// Alarms of the queue, histories, hanging plugins, side doors, the watchdog.
    void on_second();
    /// Only while upload and queue threads make progress; a source that hangs is no reason to restart all.
    void feed_watchdog(std::int64_t boot_ms);
    void on_signal(int signal);
    /// Why readings wait for their time, what to do, and what came of asking the platform.
    [[nodiscard]] std::string clock_words();

    // Configuration
    /// Warns of what the limits of this process will not allow, then Sources::prepare().
    [[nodiscard]] std::vector<Sources::StartFailure> prepare_sources(CheckedConfig& config);
    /// Makes what runs equal to a checked configuration; whatever did not change is left alone. All or
    /// nothing: false if its sources cannot be had beside those that run, which then go on.
    [[nodiscard]] bool apply(CheckedConfig next);
    /// Once what the change stopped has ended and delivered.
    void end_apply(const std::vector<std::string>& changed);
    void end_reload(Reload::Result next);
    void add_devices(const Config& next);
    /// With `queue.keep_removed` what waits is still sent with the old secret, else dropped and counted.
    void remove_devices(const Config& next);
    void tell_unknown();

    // Stop: sources end and deliver, commands end, what is left is posted for a moment, all is committed, the
    // loop ends.
    void begin_stop();
    /// Looks every 20 ms, then leaves behind what hangs.
    void wait_for_sources(std::int64_t until_boot_ms);
    void commit_and_end();

    // What all stages stand on
    const Clock& clock_;
    CheckedConfig config_;
    DescriptorReserve reserve_; ///< before all that needs descriptors
    boost::asio::io_context loop_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer second_, stop_timer_;
    std::mt19937_64 random_{std::random_device{}()};
    Reload reload_; ///< its thread is made before the sources take every thread that there is

    // The way of a reading, and back
    Queue queue_;
    DeviceNames devices_;
    StageAlarms alarms_;
    LiveValues live_;
    std::unique_ptr<Https> https_;
    Uploader uploader_;
    LinkWatch links_;
    SourceBus bus_;
    Router router_;
    Sources sources_;

    // What is seen from outside
    StatusView view_;
    SideDoors doors_;
    ControlVerbs verbs_;

    std::uint64_t dead_before_ = 0; ///< letters, a second ago
    bool is_stopping_ = false;
    bool must_start_anew_ = false;
    End end_ = End::stopped;
};

} // namespace things
