// SPDX-License-Identifier: Apache-2.0
#include "cli/queue_owner.hpp"
#include "cli/setup.hpp"

#include "gateway.hpp"
#include "platform/held_signals.hpp"
#include "platform/log.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

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
        result.plans[plan.source] = {plan.requests, plan.cycle_ms, plan.load};
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

std::optional<CheckedConfig> load_again(const Common& common) {
    PluginDirectory plugins = find_plugins(common);
    Checked next = check_config(common.config, plugins, Secrets::to_send);
    log_problems(next, plugins);
    if (!next.config)
        return std::nullopt;
    return keep(std::move(next), std::move(plugins));
}

int start_and_run(const Common& common) {
    PluginDirectory plugins = find_plugins(common);
    Checked checked = check_config(common.config, plugins, Secrets::to_send);
    for (const std::string& problem : plugins.problems())
        log::warning("{}", problem);
    for (const Problem& problem : checked.problems)
        log::print(problem.text());
    if (!checked.config)
        return configuration;
    if (const std::string owner = foreign_queue_owner(*checked.config); !owner.empty() && geteuid() == 0) {
        log::error("cannot start: {} belongs to user {}, and root must not take it over; run the service "
                   "(systemctl start kpn-things-gateway), or be that user (runuser -u {} -- ...)",
                   checked.config->queue.path.string(), owner, owner);
        return failed;
    }
    log::set_level(static_cast<log::Level>(checked.config->log_level));
    CheckedConfig config = keep(std::move(checked), std::move(plugins));
    if (is_stop_held()) {
        log::info("stopped before it had started");
        return done;
    }
    const SystemClock clock;
    const char* failure = "cannot start";
    try {
        Gateway gateway(std::move(config), clock, [&common] { return load_again(common); });
        gateway.start();
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

int run_daemon(const Common& common) {
    log::open(log::Level::info);
    log::start();
    protect_process();
    const int code = start_and_run(common);
    (void)log::flush(); // what a start that failed has to say
    return code;
}

} // namespace things::cli
