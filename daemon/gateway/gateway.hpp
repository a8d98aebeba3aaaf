// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "control/server.hpp"
#include "delivery/https.hpp"
#include "delivery/uploader.hpp"
#include "platform/clock.hpp"
#include "platform/descriptor_reserve.hpp"
#include "platform/link_watch.hpp"
#include "polling/sources.hpp"
#include "queue/queue.hpp"
#include "routing/bus.hpp"
#include "routing/router.hpp"
#include "status/alarms.hpp"
#include "status/live_values.hpp"
#include "status/snapshot.hpp"
#include "status/web_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

// The daemon: the only place that joins the stages. Its members stand in the order in which a reading flows,
// from the sources to the platform and back; they end in reverse. Everything here runs on the loop.
namespace things {

/// How a source will read its points, as its plugin predicts, and where it runs; for the status page.
/// Zero where the plugin does not say.
struct LinePlan {
    std::uint64_t requests = 0;
    double cycle_ms = 0, load = 0;
    bool is_isolated = false;
    std::string reach; ///< as reach_of()
};

/// A configuration that was checked whole, plugins' own checks included.
struct CheckedConfig {
    Config config;
    std::unordered_map<std::string, LinePlan> plans; ///< by source
    PluginDirectory plugins;                         ///< those that its sources use
};

/// Owned by `run`, one a process. Its threads are those of its members; all of its own functions are called
/// on the loop, and `start` and `run` on the thread that made it.
class Gateway : private Bus {
public:
    /// What became of a load: the configuration, or why there is none: its first error with its place.
    struct Reloaded {
        std::optional<CheckedConfig> config;
        std::string refusal;
    };
    /// Loads and checks the configuration anew; logs what is wrong. Called on a thread of its own.
    using Reload = std::function<Reloaded()>;

    /// Opens the queue. Throws std::runtime_error if it cannot be had.
    /// Blocks for the queue's recovery: milliseconds, minutes with a damaged one. `clock` outlives it.
    /// `refusal`: what is wrong with the configuration on disk, if `config` is an older one.
    Gateway(CheckedConfig config, const Clock& clock, Reload reload, const std::string& refusal = {});
    ~Gateway() override;
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    /// Starts sources, uploads and commands, and tells the service manager. Throws std::exception if that
    /// fails.
    /// Once. The service manager is told last, when sources run and uploads may begin.
    void start();
    /// How run() ended. `must_start_anew`: by itself, and only a new start gets on. `flash_stalled`: stopped,
    /// but a write to flash that does not end holds a thread: the process must end without destroying this
    /// object.
    enum class End : std::uint8_t { stopped, must_start_anew, flash_stalled };
    /// Runs until SIGTERM or SIGINT; SIGHUP reloads. Returns when everything is stored.
    /// After a signal it takes up to 10.5 seconds: 2.5 for the sources, 3 for uploads, 5 for the last commit.
    [[nodiscard]] End run();

private:
    // set-up
    // set-up: what each stage may ask of the others. The hooks refer to this object and end with their stage.
    [[nodiscard]] static HttpsSettings upload_settings(const ThingsConfig& things);
    [[nodiscard]] UploadHooks upload_hooks();
    [[nodiscard]] RouterPorts router_ports();
    [[nodiscard]] SourceHooks source_hooks();
    [[nodiscard]] std::map<std::string, WebServer::Page> pages();
    void add_verbs();
    void add_bus_verbs();
    /// What changes something is added as such, so that the control socket logs who asked.
    void add_queue_verbs();

    // what happens
    /// The path of a reading: shown, queued, its device's uploads told.
    void on_readings(const RunningSource& source, std::vector<PointReading>& readings);
    /// A source, device or point fails or works again: an alarm with a beginning and an end, or a line in the
    /// log.
    void on_event(const RunningSource& source, const SourceEvent& event);
    /// What a command left at its point is a reading like any other, only more urgent.
    void on_outcome(const Outcome& outcome);
    void on_upload_alarm(const UploadAlarm& alarm, bool is_over);
    /// Once a second: alarms of the queue, histories, loads, hanging plugins, the watchdog.
    void on_second();
    void update_loads();
    /// Of devices whose dead letters were all retried or dropped.
    void end_dead_alarms();
    /// Only while upload and queue threads make progress; a source that hangs is no reason to restart all.
    void feed_watchdog(std::int64_t boot_ms, std::int64_t wall_ms);
    /// Now and then: whether descriptors are left, and page and control socket, which are opened again and
    /// again until they can be. What is missing is an alarm.
    void look_around(std::int64_t boot_ms);
    void on_signal(int signal);

    // Bus, for the router
    void write(const std::string& device, const std::string& point, Value value,
               std::int64_t not_after_boot_ms, std::function<void(BusAnswer)> handler) override;
    void read(const std::string& device, const std::string& point,
              std::function<void(BusAnswer)> handler) override;
    [[nodiscard]] std::optional<Value> last(const std::string& device,
                                            const std::string& point) const override;

    // life cycle
    /// Warns of what the limits of this process will not allow, then Sources::prepare().
    [[nodiscard]] std::vector<Sources::StartFailure> prepare_sources(CheckedConfig& config);
    /// Makes what runs equal to a checked configuration; whatever did not change is left alone. All or
    /// nothing: false if its sources cannot be had beside those that run, which then go on.
    [[nodiscard]] bool apply(CheckedConfig next);
    /// Once what the change stopped has ended and delivered.
    void end_apply(const std::vector<std::string>& changed);
    void add_devices(const Config& next);
    /// With `queue.keep_removed` what waits is still sent with the old secret, else dropped and counted.
    void remove_devices(const Config& next);
    /// What a device that the configuration has no more is called in the keys of alarms.
    [[nodiscard]] static std::string removed_name(DeviceId id);
    void tell_unknown(const Config& config);
    // A reload is checked on a thread of its own, then applied on the loop; one that comes meanwhile follows
    // it.
    void begin_reload();
    void end_reload(Reloaded next);
    void finish_reload();
    /// An urgent alarm until a reload succeeds: the next start would have nothing but the older
    /// configuration.
    void on_refusal(const std::string& refusal);
    // Stop: sources end and deliver, commands end, what is left is posted for a moment, all is committed, the
    // loop ends.
    void begin_stop();
    /// Looks every 20 ms, then leaves behind what hangs.
    void wait_for_sources(std::int64_t until_boot_ms);
    void commit_and_end();
    void wait_second();

    // views
    [[nodiscard]] Snapshot snapshot();
    void view_queue(Snapshot& view);
    void view_uploads(Snapshot& view);
    void view_sources(Snapshot& view) const;
    void view_devices(Snapshot& view);
    [[nodiscard]] std::string problem_of(const std::string& source, const std::string& device) const;
    [[nodiscard]] std::vector<ChartView> charts() const;
    /// What was last seen of a point; null if nothing.
    [[nodiscard]] const LiveValues::Last* live(const std::string& device, const std::string& point) const;
    [[nodiscard]] const DeviceConfig* find_device(const std::string& name) const;
    [[nodiscard]] bool is_configured(const std::string& source) const;
    void read_points(const DeviceConfig& device, std::vector<std::string> points,
                     const std::function<void(const std::string& json)>& done);
    void send_now(const DeviceConfig& device, const SharedReply& reply);
    /// Why readings wait for their time, what to do, and what came of asking the platform.
    [[nodiscard]] std::string clock_words();
    /// The second half of it, once its readings are queued.
    void post_now(const std::string& device, const SharedReply& reply);
    /// How the uploads stood when somebody asked for a post, and how long the answer may take.
    struct PostRequest {
        DeviceId device = 0;
        DeviceUploads before;
        std::uint64_t uplink_failures = 0;
        std::int64_t until_boot_ms = 0;
    };
    /// Until an answer to the device or to whoever tried the uplink, a reason why nothing may leave, or the
    /// deadline, whichever comes first.
    void wait_for_answer(const PostRequest& request, const SharedReply& reply);

    const Clock& clock_;
    Reload reload_;
    CheckedConfig config_;
    DescriptorReserve reserve_; ///< before all that needs descriptors
    boost::asio::io_context loop_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer second_, stop_timer_;
    std::mt19937_64 random_{std::random_device{}()};
    Alarms alarms_;
    LiveValues live_;
    History queued_history_, uploads_history_;
    std::uint64_t uploaded_before_ = 0, dead_before_ = 0;
    std::vector<std::string> queue_codes_; ///< of the queue's alarms that are raised
    struct Load {
        std::uint64_t busy_us = 0; ///< when it was looked at last
        double mean = 0;           ///< 0 to 1
    };
    std::unordered_map<std::string, Load> loads_; ///< by source
    std::int64_t started_ms_, look_around_due_ms_ = 0;

    Queue queue_;
    std::unordered_map<std::string, DeviceId> ids_;   ///< by name: the devices of the configuration
    std::unordered_map<DeviceId, std::string> names_; ///< the same the other way round
    std::unique_ptr<Https> https_;
    Uploader uploader_;
    LinkWatch links_;
    Router router_;
    Sources sources_;
    std::optional<WebServer> web_;
    ControlServer control_;
    boost::asio::thread_pool reloader_{1}; ///< made before the sources take every thread that there is
    bool is_stopping_ = false;
    bool must_start_anew_ = false;
    End end_ = End::stopped;
    bool is_reloading_ = false, reload_again_ = false;
};

} // namespace things
