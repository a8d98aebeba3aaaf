// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway.hpp"

#include "platform/after.hpp"
#include "platform/held_signals.hpp"
#include "platform/log.hpp"
#include "platform/machine.hpp"
#include "platform/notify.hpp"
#include "platform/storage.hpp"
#include "polling/capacity.hpp"
#include "queue/clock_trust.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include <unistd.h>

namespace things {

namespace {

/// Urgent readings and downlink posts apart, this is how often alarms, charts and the watchdog are looked at.
constexpr std::chrono::seconds beat{1};
constexpr Milliseconds uploads_stop_within{3000};
// With both of these, and a second for the log, it stays well below the unit's TimeoutStopSec=15s.
constexpr Milliseconds last_commit_within{5000};
constexpr Milliseconds look_again{20};

log::Level level_of(LogLevel level) {
    return static_cast<log::Level>(level);
}

QueueOptions queue_options(const Config& config) {
    QueueOptions options;
    options.config = config.queue;
    options.time = config.time;
    options.live_limit = static_cast<std::size_t>(config.batch.max_records);
    options.while_opening = [begin = std::chrono::steady_clock::now()]() mutable {
        // A crash costs the queue nothing at any moment, so nobody who wants to stop has to wait for it.
        if (is_stop_held()) {
            log::info("stopped while the queue was being opened");
            (void)log::flush();
            _exit(0);
        }
        const auto lasts =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
        notify::starting(
            std::chrono::minutes(1),
            fmt::format("opening the queue, for {} s: a damaged one is being mended, or the disk is "
                        "slow",
                        lasts.count()));
    };
    options.machine = read_machine();
    options.storage = storage_problem(config.queue.path, system_storage());
    return options;
}

/// What cannot change before a restart stays in `next` as it is now. Returns its keys, for the log.
std::string keep_frozen(const Config& now, Config& next) {
    std::string keys;
    const auto keep = [&keys](const auto& old, auto& fresh, const char* key) {
        if (fresh == old)
            return;
        fresh = old;
        keys += std::string(keys.empty() ? "" : ", ") + key;
    };
    keep(now.queue.path, next.queue.path, "queue.path");
    keep(now.queue.hot_path, next.queue.hot_path, "queue.hot_path");
    keep(now.name, next.name, "name");
    keep(now.web, next.web, "web");
    keep(now.control_socket, next.control_socket, "control.socket");
    return keys;
}

} // namespace

HttpsSettings Gateway::upload_settings(const ThingsConfig& things) {
    HttpsSettings settings = https_settings(things);
    settings.user_agent = "kpn-things-gateway/" THINGS_VERSION;
    return settings;
}

Gateway::Gateway(CheckedConfig config, const Clock& clock, Reload::Load load, const std::string& refusal)
    : clock_(clock), config_(std::move(config)), loop_(1), signals_(loop_, SIGTERM, SIGINT, SIGHUP),
      second_(loop_), stop_timer_(loop_),
      reload_(loop_, std::move(load), [this](Reload::Result next) { end_reload(std::move(next)); }),
      queue_(loop_.get_executor(), clock, queue_options(config_.config)),
      alarms_(name_of(config_.config), clock, devices_),
      https_(make_https(upload_settings(config_.config.things))),
      uploader_(loop_, clock, queue_, *https_, config_.config.things, config_.config.batch, upload_hooks()),
      links_(loop_, [this] { uploader_.on_link_up(); }), bus_(sources_, live_),
      router_(router_ports(), config_.config), sources_(loop_, clock, source_options(), source_hooks()),
      view_({config_, clock, devices_, live_, alarms_.book(), queue_, uploader_, sources_}),
      doors_(loop_, config_.config, view_.pages(), alarms_),
      verbs_({doors_.control(), loop_, clock, config_.config, devices_, view_, queue_, uploader_, router_,
              sources_, [this](const Outcome& outcome) { on_outcome(outcome); }, [this] { tell_unknown(); },
              [this] {
                  return clock_words();
              }}) {
    // Readings that got their time late, and dead letters that came back, bring no other sign.
    queue_.on_available([this](DeviceId device) { uploader_.notify(device); });
    alarms_.set_refusal(refusal);
}

void Gateway::start() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
        if (!error)
            on_signal(signal);
    });
    queue_.start();
    add_devices(config_.config);
    tell_unknown();
    // One that cannot be started is an alarm of its own: the others read.
    (void)prepare_sources(config_);
    sources_.commit([](const std::vector<std::string>&) {});
    // The sources have their own copy; secrets and settings of thousands of points need not stand here twice.
    forget_settings(config_.config);
    router_.start();
    doors_.look(clock_.boot_ms());
    wait_second();
    const std::string page = doors_.page_url();
    log::info("running: {} devices on {} sources, uploading to {}{}", config_.config.devices.size(),
              config_.config.sources.size(), host_of(config_.config.things.url),
              page.empty() ? "" : ", page on " + page);
    notify::ready();
    notify::status("running");
}

Gateway::End Gateway::run() {
    release_signals(); // what came while it started is handled now
    loop_.run();
    log::info("stopped{}", end_ == End::flash_stalled ? "" : ": everything that was not sent is stored");
    return end_;
}

UploadHooks Gateway::upload_hooks() {
    UploadHooks hooks;
    hooks.find_series = [this](SeriesId id) {
        const Series& series = queue_.series(id);
        return SeriesText{series.name, series.unit};
    };
    hooks.on_answer = [this](DeviceId id, const std::string& body) {
        if (const std::string* name = devices_.name(id))
            router_.on_answer(*name, body);
        else
            router_.on_late_answer(queue_.dvnuuid(id), body);
    };
    hooks.on_broken_answer = [this](DeviceId id, const std::string& reason) {
        if (const std::string* name = devices_.name(id))
            router_.on_broken_answer(*name, reason);
    };
    hooks.on_alarm = [this](const UploadAlarm& alarm) {
        alarms_.on_upload_alarm(alarm, false);
    };
    hooks.on_recovered = [this](const UploadAlarm& alarm) {
        alarms_.on_upload_alarm(alarm, true);
    };
    hooks.is_clock_plausible = [this] {
        return queue_.clock_trust().is_plausible();
    };
    hooks.on_date = [this](std::int64_t date_ms, Milliseconds took) {
        queue_.clock_trust().witness(date_ms, took);
    };
    hooks.random = [this] {
        return std::uniform_real_distribution<double>(0, 1)(random_);
    };
    return hooks;
}

RouterPorts Gateway::router_ports() {
    return {bus_,
            queue_,
            clock_,
            make_after(loop_),
            [this](const Outcome& outcome) { on_outcome(outcome); },
            [this](const std::string& device) {
                if (const std::optional<DeviceId> id = devices_.id(device))
                    uploader_.request_post(*id);
            },
            [this] {
                return queue_.clock_trust().is_vouched();
            }};
}

SourceOptions Gateway::source_options() {
    SourceOptions options;
    options.now = [&trust = queue_.clock_trust()] {
        return trust.now();
    };
    options.is_clock_trusted = [&trust = queue_.clock_trust()] {
        return trust.anchor().has_value();
    };
    return options;
}

SourceHooks Gateway::source_hooks() {
    SourceHooks hooks;
    hooks.series_of = [this](const std::string& device, const PointConfig& point) {
        return queue_.series(*devices_.id(device), point.name, point.unit);
    };
    hooks.on_readings = [this](const RunningSource& source, std::vector<PointReading>& readings) {
        on_readings(source, readings);
    };
    hooks.on_event = [this](const RunningSource& source, const SourceEvent& event) {
        if (event.level == Level::point && event.index < source.series.size())
            live_.set_problem(source.series[event.index],
                              event.kind == SourceEvent::Kind::problem ? event.text : std::string());
        alarms_.on_event(source, event);
    };
    hooks.on_flood = [this](std::uint64_t lost) {
        queue_.count_lost(lost);
    };
    return hooks;
}

void Gateway::on_readings(const RunningSource& source, std::vector<PointReading>& readings) {
    const std::int64_t boot_ms = clock_.boot_ms(), wall_ms = clock_.wall_ms();
    std::uint32_t noted = UINT32_MAX; // readings of one device come in a row
    for (PointReading& reading : readings) {
        const SeriesId series = source.series[reading.point];
        // Before the report rules: the page shows what was read, not only what is sent.
        live_.set(series, reading.value,
                  reading.stamp.clock == Stamp::Clock::wall ? reading.stamp.ms : wall_ms, boot_ms);
        if (!reading.report)
            continue;
        queue_.append({series, reading.stamp, std::move(reading.value)});
        const std::uint32_t device = source.work->points[reading.point].device;
        if (device == noted)
            continue;
        noted = device;
        // By series, not by name: a reload may have removed the device while this was on its way.
        uploader_.notify(queue_.series(series).device);
    }
}

void Gateway::on_outcome(const Outcome& outcome) {
    const std::optional<DeviceId> id = devices_.id(outcome.device);
    if (!id)
        return;
    const SeriesId series = queue_.series(*id, outcome.name, outcome.unit);
    live_.set(series, outcome.value,
              outcome.stamp.clock == Stamp::Clock::wall ? outcome.stamp.ms : clock_.wall_ms(),
              clock_.boot_ms());
    queue_.append({series, outcome.stamp, outcome.value}, outcome.urgent);
    uploader_.notify(*id);
}

void Gateway::wait_second() {
    second_.expires_after(beat);
    second_.async_wait([this](boost::system::error_code error) {
        if (!error)
            on_second();
    });
}

void Gateway::on_second() {
    const std::int64_t boot_ms = clock_.boot_ms();
    const std::vector<QueueAlarm> raised = queue_.alarms();
    alarms_.set_queue(raised, [this] { return clock_words(); });
    // No pack leaves before the clock is believed, so that no answer of one can vouch for it.
    if (queue_.clock_trust().needs_witness())
        uploader_.ask_time();
    const std::uint64_t dead = queue_.books().dead;
    if (std::exchange(dead_before_, dead) != dead)
        alarms_.end_dead(queue_.dead_letters(),
                         [this](const std::string& dvnuuid) { return queue_.device(dvnuuid); });
    view_.update();
    sources_.check();
    doors_.look(boot_ms);
    feed_watchdog(boot_ms);
    // Two queues become one only at a start; what is in memory must be in the hot log by then.
    const auto is_raised = [&raised](std::string_view code) {
        return std::any_of(raised.begin(), raised.end(),
                           [code](const QueueAlarm& a) { return a.code == code; });
    };
    must_start_anew_ = is_raised("restart") && !is_raised("hot");
    if (must_start_anew_ && !is_stopping_)
        begin_stop();
    if (!is_stopping_)
        wait_second();
}

std::string Gateway::clock_words() {
    const std::string& problem = uploader_.time_problem();
    return queue_.clock_trust().explain_wait() + (problem.empty() ? "" : " Asked for its time: " + problem);
}

std::vector<Sources::StartFailure> Gateway::prepare_sources(CheckedConfig& config) {
    Work work = make_work(config.config);
    for (const std::string& shortage :
         shortages(needs_of(work, config.plugins), limits_of("self", "this process")))
        log::warning("{}", shortage);
    return sources_.prepare(std::move(work), config.plugins);
}

/// Says that all goes well, unless a thread hangs. The loop, and with it page and control socket, shows by
/// getting here that it does not; a source that hangs is told of by Sources and must not take the others
/// along.
void Gateway::feed_watchdog(std::int64_t boot_ms) {
    struct Part {
        const char* name;
        Milliseconds silence, patience;
    };
    const Part parts[] = {
        {"upload", https_->silence(boot_ms), std::chrono::seconds(30)},
        // A worn card stalls for half a minute, a damaged queue is mended in minutes.
        {"queue", queue_.silence(boot_ms), std::chrono::minutes(5)},
    };
    bool all_well = true;
    for (const Part& part : parts) {
        const bool is_well = part.silence <= part.patience;
        all_well = all_well && is_well;
        alarms_.set(fmt::format("daemon/{}", part.name),
                    is_well ? std::string()
                            : fmt::format("the {} thread makes no progress: the gateway is about to be "
                                          "restarted",
                                          part.name),
                    "", true);
    }
    if (all_well && notify::watchdog_ms() > 0)
        notify::watchdog();
}

void Gateway::add_devices(const Config& next) {
    devices_.begin();
    for (const DeviceConfig& device : next.devices) {
        const DeviceId id = queue_.device(device.dvnuuid);
        if (const std::optional<std::string> former = devices_.set(id, device.name))
            alarms_.forget_device(*former);
        alarms_.forget_unknown(device.dvnuuid);
        alarms_.forget_device(DeviceNames::removed_name(id));
        uploader_.update({id, device.name, device.dvnuuid, device.secret});
    }
}

/// After the sources: what a removed device's source still had to deliver is queued by then.
void Gateway::remove_devices(const Config& next) {
    for (const auto& [id, name] : devices_.take_removed()) {
        alarms_.forget_device(name);
        if (next.keep_removed) {
            uploader_.retire(id); // it keeps its secret and sends what is left
        } else {
            uploader_.remove(id);
            queue_.drop_device(id);
        }
    }
}

/// What waits for devices that were removed before this start: without their secrets nothing can be sent.
void Gateway::tell_unknown() {
    for (const DeviceBacklog& backlog : queue_.status().devices) {
        const std::uint64_t waiting = backlog.waiting + backlog.held;
        if (waiting == 0 || devices_.name(backlog.device))
            continue;
        if (config_.config.keep_removed)
            alarms_.set_unknown(backlog.dvnuuid, waiting);
        else
            queue_.drop_device(backlog.device);
    }
}

bool Gateway::apply(CheckedConfig next) {
    // Before anything changes: the threads and descriptors of new sources may not be there.
    const auto failures = prepare_sources(next);
    if (!failures.empty()) {
        sources_.discard();
        log::error("reload refused: source {} cannot be started: {}{}; the old configuration goes on",
                   failures.front().source, failures.front().reason,
                   failures.size() > 1 ? fmt::format(", nor can {} more", failures.size() - 1)
                                       : std::string());
        return false;
    }
    const std::string frozen = keep_frozen(config_.config, next.config);
    if (!frozen.empty())
        log::warning("reload: these changed and take effect after a restart: {}", frozen);
    log::set_level(level_of(next.config.log_level));
    // Devices before sources, which look their series up; what is removed goes last, when all has arrived.
    // Queue and uploads first: what the sources deliver from here on falls under the new limits.
    queue_.configure(next.config.queue, next.config.time,
                     static_cast<std::size_t>(next.config.batch.max_records));
    if (next.config.things != config_.config.things)
        https_->configure(upload_settings(next.config.things));
    uploader_.configure(next.config.things, next.config.batch);
    add_devices(next.config);
    config_ = std::move(next);
    router_.update(config_.config);
    forget_settings(config_.config);
    sources_.commit([this](const std::vector<std::string>& changed) { end_apply(changed); });
    return true;
}

void Gateway::end_apply(const std::vector<std::string>& changed) {
    remove_devices(config_.config);
    live_.keep(sources_.all_series());
    std::string names;
    for (const std::string& name : changed) {
        alarms_.forget_source(name);
        names += (names.empty() ? "" : ", ") + name;
    }
    log::info("reloaded: {} devices on {} sources; {}", config_.config.devices.size(),
              config_.config.sources.size(),
              changed.empty() ? "no source had to be restarted" : "restarted: " + names);
    if (reload_.is_running())
        reload_.finish();
}

void Gateway::end_reload(Reload::Result next) {
    if (is_stopping_)
        return;
    if (next.config || !next.refusal.empty()) // else it could not be checked, which says nothing of it
        alarms_.set_refusal(next.refusal);
    if (!next.config)
        log::error("reload refused: the configuration has the errors above; the old one goes on");
    if (!next.config || !apply(std::move(*next.config)))
        reload_.finish(); // else end_apply() does
}

void Gateway::on_signal(int signal) {
    if (signal != SIGHUP)
        return begin_stop();
    reload_.begin();
    signals_.async_wait([this](boost::system::error_code error, int next) {
        if (!error)
            on_signal(next);
    });
}

void Gateway::begin_stop() {
    if (std::exchange(is_stopping_, true))
        return;
    log::info("stopping");
    notify::stopping();
    reserve_.release();
    second_.cancel();
    // Nobody may ask for anything any more; what was asked is answered by what ends below.
    doors_.close();
    router_.stop();
    sources_.stop();
    wait_for_sources(clock_.boot_ms() + Sources::stop_patience.count());
}

void Gateway::wait_for_sources(std::int64_t until_boot_ms) {
    if (!sources_.have_ended() && clock_.boot_ms() < until_boot_ms) {
        stop_timer_.expires_after(look_again);
        stop_timer_.async_wait([this, until_boot_ms](boost::system::error_code error) {
            if (!error)
                wait_for_sources(until_boot_ms);
        });
        return;
    }
    (void)sources_.join(Milliseconds(0)); // one that hangs is left behind, and says so
    sources_.drain();
    // To flash and to the platform at once: a card that stalls must not use up the seconds of the uploads.
    queue_.commit([](bool) {});
    uploader_.shutdown(uploads_stop_within, [this] { commit_and_end(); });
}

void Gateway::commit_and_end() {
    // What is still in flight is kept by the queue and sent at the next start.
    https_->stop(Milliseconds(0));
    end_ = End::flash_stalled;
    queue_.shutdown([this](bool stored) {
        end_ = must_start_anew_ ? End::must_start_anew : End::stopped;
        if (!stored)
            log::error("the last commit failed: what it held is in {} only",
                       config_.config.queue.hot_path.string());
        loop_.stop();
    });
    stop_timer_.expires_after(last_commit_within);
    stop_timer_.async_wait([this](boost::system::error_code error) {
        if (error || end_ != End::flash_stalled)
            return;
        queue_.tick(); // what is newest reaches the hot log, at least
        log::error("flash does not answer, so the last commit is given up: what it held is in {} only",
                   config_.config.queue.hot_path.string());
        loop_.stop();
    });
}

} // namespace things
