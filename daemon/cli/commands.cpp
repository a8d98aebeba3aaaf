// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/print.hpp"
#include "cli/queue_owner.hpp"
#include "cli/setup.hpp"

#include "gateway/status_view.hpp"
#include "platform/json.hpp"
#include "queue/queue.hpp"
#include "status/status_json.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <simdjson.h>

#include <cstdio>

namespace things::cli {

namespace {

using simdjson::dom::element;

/// The audit trail of a queue that nobody runs.
std::string audit_of_closed_queue(const Config& config, const CommandsOptions& options) {
    const SystemClock clock;
    boost::asio::io_context loop;
    QueueOptions queue_options;
    queue_options.config = config.queue;
    queue_options.time = config.time;
    Queue queue(loop.get_executor(), clock, queue_options);
    std::vector<CommandView> views;
    queue.load_audit(options.device, static_cast<std::size_t>(options.most),
                     [&views, &loop](const std::vector<Command>& commands) {
                         for (const Command& command : commands)
                             views.push_back(view_of(command));
                         loop.stop();
                     });
    // The answer comes from the archive's thread: the loop must not run dry before.
    auto keep_running = boost::asio::make_work_guard(loop);
    loop.run();
    return commands_json(views);
}

} // namespace

int commands_list(const Common& common, const CommandsOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    const std::string request =
        JsonWriter().object().member("device", options.device).member("most", options.most).end().take();
    DaemonAnswer answer = ask(*config, "commands", request, seconds(30));
    if (!answer.is_running && !become_queue_owner(*config))
        return failed;
    if (!answer.is_running)
        answer.result = audit_of_closed_queue(*config, options);
    if (answer.exit_code != done)
        return answer.exit_code;
    if (common.json) {
        fmt::print("{}\n", answer.result);
        return done;
    }
    simdjson::dom::parser parser;
    for (const element command : parser.parse(answer.result)) {
        const auto text = [&command](const char* key) {
            return std::string(std::string_view(command[key]));
        };
        print_line("{}  {}/{} = {} ({}): {}{}{}", local_time(command["time_ms"]), text("device"),
                   text("point"), text("value"), text("origin"), text("state"),
                   text("verdict").empty() ? "" : ", ", text("verdict"));
    }
    return done;
}

} // namespace things::cli
