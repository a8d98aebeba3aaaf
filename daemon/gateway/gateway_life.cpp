// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway.hpp"

#include "platform/log.hpp"
#include "platform/notify.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <csignal>
#include <utility>

#include <time.h>

// How the gateway takes over a configuration, reloads and stops.
namespace things {

namespace {

constexpr Milliseconds uploads_stop_within{3000};
// With both of these, and a second for the log, it stays well below the unit's TimeoutStopSec=15s.
constexpr Milliseconds last_commit_within{5000};
constexpr Milliseconds look_again{20};
constexpr Milliseconds look_around_every{10'000};

std::int64_t monotonic_us() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

log::Level level_of(LogLevel level) {
    return static_cast<log::Level>(level);
}

std::string unknown_key(const std::string& dvnuuid) {
    return "queue/unknown/" + dvnuuid;
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

void Gateway::add_devices(const Config& next) {
    ids_.clear();
    for (const DeviceConfig& device : next.devices) {
        const DeviceId id = queue_.device(device.dvnuuid);
        ids_[device.name] = id;
        const auto [known, is_new] = names_.try_emplace(id, device.name);
        if (!is_new && known->second != device.name) {
            alarms_.clear_all("device/" + known->second + '/');
            known->second = device.name;
        }
        alarms_.clear(unknown_key(device.dvnuuid));
        alarms_.clear_all("device/" + removed_name(id) + '/');
        uploader_.update({id, device.name, device.dvnuuid, device.secret});
    }
}

std::string Gateway::removed_name(DeviceId id) {
    return fmt::format("removed {}", id);
}

/// After the sources: what a removed device's source still had to deliver is queued by then. A device is its
/// DvnUUID: one that was only renamed stays, one that got another DvnUUID leaves the old one behind.
void Gateway::remove_devices(const Config& next) {
    for (auto at = names_.begin(); at != names_.end();) {
        const auto& [id, name] = *at;
        const auto named = ids_.find(name);
        if (named != ids_.end() && named->second == id) {
            ++at;
            continue;
        }
        alarms_.clear_all("device/" + name + '/');
        if (next.keep_removed) {
            uploader_.retire(id); // it keeps its secret and sends what is left
        } else {
            uploader_.remove(id);
            queue_.drop_device(id);
        }
        at = names_.erase(at);
    }
}

/// What waits for devices that were removed before this start: without their secrets nothing can be sent.
void Gateway::tell_unknown(const Config& config) {
    for (const DeviceBacklog& backlog : queue_.status().devices) {
        const std::uint64_t waiting = backlog.waiting + backlog.held;
        if (waiting == 0 || names_.contains(backlog.device))
            continue;
        if (!config.keep_removed)
            queue_.drop_device(backlog.device);
        else
            alarms_.raise(unknown_key(backlog.dvnuuid),
                          fmt::format("{} readings wait for device {}, which the configuration does not have",
                                      waiting, backlog.dvnuuid),
                          "Add it again and they are sent; queue.keep_removed: false drops them at the next "
                          "start.",
                          false, clock_.wall_ms());
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
    for (const std::string& name : changed) {
        alarms_.clear("source/" + name);
        alarms_.clear_all("source/" + name + '/');
    }
    std::string names;
    for (const std::string& name : changed)
        names += (names.empty() ? "" : ", ") + name;
    log::info("reloaded: {} devices on {} sources; {}", config_.config.devices.size(),
              config_.config.sources.size(),
              changed.empty() ? "no source had to be restarted" : "restarted: " + names);
    if (is_reloading_)
        finish_reload();
}

void Gateway::begin_reload() {
    // At most one at a time; one more is remembered, however many were asked for.
    if (is_reloading_) {
        reload_again_ = true;
        return;
    }
    is_reloading_ = true;
    notify::reloading(monotonic_us());
    boost::asio::post(reloader_, [this] {
        Reloaded next;
        try {
            next = reload_();
        } catch (const std::exception& error) { // a lack of memory or descriptors, which may pass
            log::error("the configuration cannot be checked: {}", error.what());
        }
        boost::asio::post(loop_, [this, next = std::move(next)]() mutable { end_reload(std::move(next)); });
    });
}

void Gateway::on_refusal(const std::string& refusal) {
    if (refusal.empty())
        return alarms_.clear("config");
    alarms_.raise(
        "config", "The configuration on disk has errors and would not start: " + refusal,
        "kpn-things-gateway check lists all of them. Mend them, then: systemctl reload kpn-things-gateway",
        true, clock_.wall_ms());
}

void Gateway::end_reload(Reloaded next) {
    if (is_stopping_)
        return;
    if (next.config || !next.refusal.empty()) // else it could not be checked, which says nothing of it
        on_refusal(next.refusal);
    if (!next.config)
        log::error("reload refused: the configuration has the errors above; the old one goes on");
    if (!next.config || !apply(std::move(*next.config)))
        finish_reload(); // else end_apply() does
}

void Gateway::finish_reload() {
    is_reloading_ = false;
    notify::ready();
    if (std::exchange(reload_again_, false))
        begin_reload();
}

void Gateway::look_around(std::int64_t boot_ms) {
    if (is_stopping_ || boot_ms < look_around_due_ms_)
        return;
    look_around_due_ms_ = boot_ms + look_around_every.count();
    const auto tell = [this](const char* key, const std::string& problem, const char* advice, bool urgent) {
        if (problem.empty())
            alarms_.clear(key);
        else
            alarms_.raise(key, problem, advice, urgent, clock_.wall_ms());
    };
    const std::filesystem::path& socket = config_.config.control_socket;
    tell("daemon/descriptors",
         DescriptorReserve::are_any_left() ? "" : "no file descriptors are left: connections cannot be made",
         "Raise LimitNOFILE of the service; readings that are taken stay safe meanwhile.", true);
    tell("web", web_ ? web_->listen() : std::string(),
         "Only page and metrics suffer; readings are taken and sent. It is tried again every 10 s; choose "
         "another address, port or certificate, or web: null.",
         false);
    tell("control", socket.empty() ? std::string() : control_.listen(socket),
         "The command line cannot reach the gateway; readings are taken and sent. It is tried again every 10 "
         "s; remove what is in the way, or choose another control.socket.",
         false);
}

void Gateway::on_signal(int signal) {
    if (signal != SIGHUP)
        return begin_stop();
    begin_reload();
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
    control_.close();
    web_.reset();
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
