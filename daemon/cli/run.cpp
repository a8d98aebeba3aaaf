// SPDX-License-Identifier: Apache-2.0
#include "cli/queue_owner.hpp"
#include "cli/setup.hpp"
#include "config/isolation.hpp"
#include "config/last_good.hpp"
#include "config/secrets.hpp"
#include "config/summary.hpp"

#include "gateway/gateway.hpp"
#include "platform/held_signals.hpp"
#include "platform/log.hpp"
#include "polling/landlock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace things::cli {

namespace {

/// What the gateway needs of a configuration that is right.
CheckedConfig keep(Checked checked, PluginDirectory plugins) {
    CheckedConfig result{std::move(*checked.config), {}, std::move(plugins)};
    forget_places(result.config);
    for (const SourcePlan& plan : checked.plans)
        result.plans[plan.source] = {plan.requests, plan.cycle_ms, plan.load, false, {}};
    for (const SourceConfig& source : result.config.sources)
        if (const auto library = result.plugins.find(source.plugin)) {
            LinePlan& plan = result.plans[source.name];
            plan.is_isolated = is_isolated(source, library->description());
            plan.reach = reach_of(source, library->description());
        }
    return result;
}

/// Keeps secrets out of core dumps and other processes' reach, and memory from spreading over many arenas.
void protect_process() {
    // Also keeps ptrace and /proc/PID/mem of the same user away.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    // A pipe that nobody reads and a file that may not grow are errors of that write, no reason to end.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    // glibc makes up to eight arenas a core, and every source is a thread.
    mallopt(M_ARENA_MAX, 2);
    // Queue, hot log and socket are nobody else's; who needs more rights sets them himself.
    umask(0077);
}

void log_problems(const Checked& checked, const PluginDirectory& plugins) {
    for (const std::string& problem : plugins.problems())
        log::warning("{}", problem);
    for (const Problem& problem : checked.problems)
        log::write(problem.severity == Severity::error ? log::Level::error : log::Level::warning,
                   problem.text());
}

std::string first_error(const Checked& checked) {
    const auto found =
        std::find_if(checked.problems.begin(), checked.problems.end(),
                     [](const Problem& problem) { return problem.severity == Severity::error; });
    return found == checked.problems.end() ? std::string() : found->text();
}

std::string copy_text(const Config& config, const Common& common, PluginDirectory& plugins) {
    return "# What kpn-things-gateway last accepted, for a start with a configuration that it refuses. Not "
           "to be "
           "edited.\n" +
           print_config(config, load_options(common.config, plugins).find_plugin);
}

void keep_copy(const LastGood& last_good, const std::string& text) {
    if (const std::string failure = last_good.keep(text); !failure.empty())
        log::warning(
            "no copy of the configuration was kept, so a mistake in it would keep the next start back: {}",
            failure);
}

/// `last_good`: where the copy of what is accepted goes; null: nowhere.
Reload::Result load_again(const Common& common, const LastGood* last_good) {
    PluginDirectory plugins = find_plugins(common);
    Checked next = check_config(common.config, plugins, Secrets::to_send);
    log_problems(next, plugins);
    if (!next.config)
        return {std::nullopt, first_error(next)};
    if (last_good)
        keep_copy(*last_good, copy_text(*next.config, common, plugins));
    return {keep(std::move(next), std::move(plugins)), {}};
}

void print_problems(const Checked& checked) {
    for (const Problem& problem : checked.problems)
        log::print(problem.text());
}

/// What to start with when the configuration on disk is refused for the reasons in `refused`; without a
/// config: nothing. `refusal` is then what the alarm says.
Checked fall_back(const Common& common, const LastGood& last_good, PluginDirectory& plugins,
                  const Checked& refused, std::string& refusal) {
    const std::optional<std::string> date = last_good.date();
    Checked older;
    if (date)
        older = check_config(last_good.file(), plugins, Secrets::to_send);
    if (older.config) {
        const auto masked =
            std::count_if(older.config->devices.begin(), older.config->devices.end(),
                          [](const DeviceConfig& d) { return d.secret.reveal() == stand_in_secret; });
        refusal = fmt::format("{} (running with the one accepted {})", first_error(refused), *date);
        if (masked > 0)
            refusal += fmt::format("; {} with a secret in the file itself cannot send until then",
                                   masked == 1 ? "1 device" : fmt::format("{} devices", masked));
        // The copy has a word that everybody can read in the place of a password of the page's own text.
        if (older.config->web.password.reveal() == stand_in_secret) {
            older.config->web.address.clear();
            older.config->web.on = !older.config->web.socket.empty();
            refusal += "; the page, whose password stood in the file itself, is not served until then";
        }
        older.config->file = common.config;
        log::error("the configuration is refused; starting with the one accepted {}: {}", *date,
                   last_good.file().string());
        return older;
    }
    if (date)
        print_problems(older);
    // No older one: a file that a power cut emptied costs its own devices, not the gateway.
    older = check_config(common.config, plugins, Secrets::to_send,
                         {Severity::error, LoadOptions::Damage::leave_out});
    if (older.config)
        refusal = fmt::format("{} (running without what it held)", first_error(refused));
    if (older.config)
        log::error("starting without the damaged files");
    return older;
}

/// Once, of this machine, if any source relies on walls; which process lacks which is told by its source.
void tell_missing_walls(CheckedConfig& config) {
    bool is_any_isolated = false, runs_programs = false;
    for (const SourceConfig& source : config.config.sources) {
        const auto library = config.plugins.find(source.plugin);
        if (!library || !is_isolated(source, library->description()))
            continue;
        is_any_isolated = true;
        runs_programs = runs_programs || library->description().runs_programs;
    }
    if (!is_any_isolated)
        return;
    if (const std::string missing = missing_walls(landlock_version(), runs_programs); !missing.empty())
        log::warning("{}", missing);
}

int start_and_run(const Common& common, const RunOptions& options) {
    PluginDirectory plugins = find_plugins(common);
    const LastGood last_good(common.config);
    Checked checked = check_config(
        common.config, plugins, Secrets::to_send,
        {Severity::error, options.last_good ? LoadOptions::Damage::at_start : LoadOptions::Damage::error});
    for (const std::string& problem : plugins.problems())
        log::warning("{}", problem);
    print_problems(checked);
    std::string refusal;
    if (!checked.config && options.last_good)
        checked = fall_back(common, last_good, plugins, checked, refusal);
    if (!checked.config)
        return configuration;
    if (const std::string owner = foreign_queue_owner(*checked.config); !owner.empty() && geteuid() == 0) {
        log::error("cannot start: {} belongs to user {}, and root must not take it over; run the service "
                   "(systemctl start kpn-things-gateway), or be that user (runuser -u {} -- ...)",
                   checked.config->queue.path.string(), owner, owner);
        return failed;
    }
    log::set_level(static_cast<log::Level>(checked.config->log_level));
    const std::string copy =
        options.last_good && refusal.empty() ? copy_text(*checked.config, common, plugins) : "";
    CheckedConfig config = keep(std::move(checked), std::move(plugins));
    tell_missing_walls(config);
    if (is_stop_held()) {
        log::info("stopped before it had started");
        return done;
    }
    const SystemClock clock;
    const char* failure = "cannot start";
    try {
        const LastGood* kept = options.last_good ? &last_good : nullptr;
        Gateway gateway(
            std::move(config), clock, [&common, kept] { return load_again(common, kept); }, refusal);
        gateway.start();
        // On a thread of its own: a card may take seconds for it, and readings wait for nothing.
        std::jthread keeper;
        if (!copy.empty())
            keeper = std::jthread([&last_good, &copy] { keep_copy(last_good, copy); });
        failure = "ended by an error while running; everything stored is safe";
        const Gateway::End end = gateway.run();
        if (end == Gateway::End::flash_stalled) {
            (void)log::flush();
            _exit(done); // nobody waits for a card that does not answer
        }
        if (end == Gateway::End::must_start_anew)
            return failed;
    } catch (const std::exception& e) {
        log::error("{}: {}", failure, e.what());
        return failed;
    }
    return done;
}

} // namespace

int run_daemon(const Common& common, const RunOptions& options) {
    log::open(log::Level::info);
    log::start();
    protect_process();
    const int code = start_and_run(common, options);
    (void)log::flush(); // what a start that failed has to say
    return code;
}

} // namespace things::cli
