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

} // namespace

HttpsSettings Gateway::upload_settings(const ThingsConfig& things) {
    HttpsSettings settings = https_settings(things);
    settings.user_agent = "kpn-things-gateway/" THINGS_VERSION;
    return settings;
}

Gateway::Gateway(CheckedConfig config, const Clock& clock, Reload reload, const std::string& refusal)
    : clock_(clock), reload_(std::move(reload)), config_(std::move(config)), loop_(1),
      signals_(loop_, SIGTERM, SIGINT, SIGHUP), second_(loop_), stop_timer_(loop_),
      alarms_(name_of(config_.config)), started_ms_(clock.wall_ms()),
      queue_(loop_.get_executor(), clock, queue_options(config_.config)),
      https_(make_https(upload_settings(config_.config.things))),
      uploader_(loop_, clock, queue_, *https_, config_.config.things, config_.config.batch, upload_hooks()),
      links_(loop_, [this] { uploader_.on_link_up(); }), router_(router_ports(), config_.config),
      sources_(
          loop_, clock,
          [this] {
              SourceOptions options;
              options.now = [&trust = queue_.clock_trust()] {
                  return trust.now();
              };
              options.is_clock_trusted = [&trust = queue_.clock_trust()] {
                  return trust.anchor().has_value();
              };
              return options;
          }(),
          source_hooks()),
      control_(loop_) {
    // Readings that got their time late, and dead letters that came back, bring no other sign.
    queue_.on_available([this](DeviceId device) { uploader_.notify(device); });
    if (config_.config.web.on)
        web_.emplace(loop_, config_.config.web, pages());
    on_refusal(refusal);
    add_verbs();
}

Gateway::~Gateway() {
    reloader_.join();
}

void Gateway::start() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
        if (!error)
            on_signal(signal);
    });
    queue_.start();
    add_devices(config_.config);
    tell_unknown(config_.config);
    // One that cannot be started is an alarm of its own: the others read.
    (void)prepare_sources(config_);
    sources_.commit([](const std::vector<std::string>&) {});
    // The sources have their own copy; secrets and settings of thousands of points need not stand here twice.
    forget_settings(config_.config);
    router_.start();
    look_around(clock_.boot_ms());
    wait_second();
    log::info("running: {} devices on {} sources, uploading to {}{}", config_.config.devices.size(),
              config_.config.sources.size(), host_of(config_.config.things.url),
              web_ && web_->port() > 0 ? fmt::format(", page on {}://{}:{}/",
                                                     config_.config.web.cert_file.empty() ? "http" : "https",
                                                     config_.config.web.address, web_->port())
                                       : std::string());
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
        if (const auto name = names_.find(id); name != names_.end())
            router_.on_answer(name->second, body);
        else
            router_.on_late_answer(queue_.dvnuuid(id), body);
    };
    hooks.on_broken_answer = [this](DeviceId id, const std::string& reason) {
        if (const auto name = names_.find(id); name != names_.end())
            router_.on_broken_answer(name->second, reason);
    };
    hooks.on_alarm = [this](const UploadAlarm& alarm) {
        on_upload_alarm(alarm, false);
    };
    hooks.on_recovered = [this](const UploadAlarm& alarm) {
        on_upload_alarm(alarm, true);
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
    return {*this,
            queue_,
            clock_,
            make_after(loop_),
            [this](const Outcome& outcome) { on_outcome(outcome); },
            [this](const std::string& device) {
                if (const auto id = ids_.find(device); id != ids_.end())
                    uploader_.request_post(id->second);
            },
            [this] {
                return queue_.clock_trust().is_vouched();
            }};
}

SourceHooks Gateway::source_hooks() {
    SourceHooks hooks;
    hooks.series_of = [this](const std::string& device, const PointConfig& point) {
        return queue_.series(ids_.at(device), point.name, point.unit);
    };
    hooks.on_readings = [this](const RunningSource& source, std::vector<PointReading>& readings) {
        on_readings(source, readings);
    };
    hooks.on_event = [this](const RunningSource& source, const SourceEvent& event) {
        on_event(source, event);
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
    const auto id = ids_.find(outcome.device);
    if (id == ids_.end())
        return;
    const SeriesId series = queue_.series(id->second, outcome.name, outcome.unit);
    live_.set(series, outcome.value,
              outcome.stamp.clock == Stamp::Clock::wall ? outcome.stamp.ms : clock_.wall_ms(),
              clock_.boot_ms());
    queue_.append({series, outcome.stamp, outcome.value}, outcome.urgent);
    uploader_.notify(id->second);
}

void Gateway::wait_second() {
    second_.expires_after(beat);
    second_.async_wait([this](boost::system::error_code error) {
        if (!error)
            on_second();
    });
}

void Gateway::on_second() {
    const std::int64_t boot_ms = clock_.boot_ms(), wall_ms = clock_.wall_ms();
    const std::vector<QueueAlarm> raised = queue_.alarms();
    const auto is_raised = [&raised](std::string_view code) {
        return std::any_of(raised.begin(), raised.end(),
                           [code](const QueueAlarm& a) { return a.code == code; });
    };
    for (const std::string& code : queue_codes_)
        if (!is_raised(code))
            alarms_.clear("queue/" + code);
    queue_codes_.clear();
    for (const QueueAlarm& alarm : raised) {
        queue_codes_.emplace_back(alarm.code);
        alarms_.raise("queue/" + queue_codes_.back(),
                      queue_codes_.back() == "clock" ? clock_words() : alarm.text, "", alarm.is_urgent,
                      wall_ms);
    }
    // No pack leaves before the clock is believed, so that no answer of one can vouch for it.
    if (queue_.clock_trust().needs_witness())
        uploader_.ask_time();
    const Books& books = queue_.books();
    if (std::exchange(dead_before_, books.dead) != books.dead)
        end_dead_alarms();
    queued_history_.add(static_cast<double>(books.queued()), boot_ms);
    // Called each second, shown for each minute.
    // Of this start: the books go back to the first day.
    const std::uint64_t uploaded = uploader_.totals().readings_accepted;
    uploads_history_.add(static_cast<double>(uploaded - uploaded_before_) * 60, boot_ms);
    uploaded_before_ = uploaded;
    update_loads();
    sources_.check();
    look_around(boot_ms);
    feed_watchdog(boot_ms, wall_ms);
    // Two queues become one only at a start; what is in memory must be in the hot log by then.
    must_start_anew_ = is_raised("restart") && !is_raised("hot");
    if (must_start_anew_ && !is_stopping_)
        begin_stop();
    if (!is_stopping_)
        wait_second();
}

/// About the mean of the last minute. Only of sources that there are: those of a removed one go.
void Gateway::update_loads() {
    std::unordered_map<std::string, Load> loads;
    for (const Sources::View& source : sources_.view()) {
        const std::string& name = source.running->work->config.name;
        Load& load = loads[name] = loads_[name];
        const std::uint64_t busy = source.status.busy_us, before = std::exchange(load.busy_us, busy);
        const double now = busy < before ? 0 : static_cast<double>(busy - before) / 1e6;
        load.mean += (std::min(now, 1.0) - load.mean) / 60;
    }
    loads_ = std::move(loads);
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
void Gateway::feed_watchdog(std::int64_t boot_ms, std::int64_t wall_ms) {
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
        const std::string key = fmt::format("daemon/{}", part.name);
        if (part.silence <= part.patience) {
            alarms_.clear(key);
            continue;
        }
        all_well = false;
        alarms_.raise(
            key,
            fmt::format("the {} thread makes no progress: the gateway is about to be restarted", part.name),
            "", true, wall_ms);
    }
    if (all_well && notify::watchdog_ms() > 0)
        notify::watchdog();
}

void Gateway::write(const std::string& device, const std::string& point, Value value,
                    std::int64_t not_after_boot_ms, std::function<void(BusAnswer)> handler) {
    sources_.write(
        device, point, std::move(value), not_after_boot_ms, [handler = std::move(handler)](BusResult result) {
            handler({result.status == BusResult::Status::ok, result.status == BusResult::Status::timeout,
                     std::move(result.value), result.stamp, std::move(result.text)});
        });
}

void Gateway::read(const std::string& device, const std::string& point,
                   std::function<void(BusAnswer)> handler) {
    sources_.read(device, point, [handler = std::move(handler)](BusResult result) {
        handler({result.status == BusResult::Status::ok, false, std::move(result.value), result.stamp,
                 std::move(result.text)});
    });
}

std::optional<Value> Gateway::last(const std::string& device, const std::string& point) const {
    const LiveValues::Last* known = live(device, point);
    return known ? known->value : std::nullopt;
}

const LiveValues::Last* Gateway::live(const std::string& device, const std::string& point) const {
    const std::optional<SeriesId> series = sources_.series(device, point);
    return series ? live_.find(*series) : nullptr;
}

} // namespace things
