// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/open_bus.hpp"
#include "cli/print.hpp"
#include "cli/queue_owner.hpp"

#include "platform/after.hpp"
#include "platform/json.hpp"
#include "queue/queue.hpp"
#include "routing/router.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <simdjson.h>

#include <cstdio>

namespace things::cli {

namespace {

/// The bus as the router wants it, over one that this process opened.
class DirectBus : public Bus {
public:
    explicit DirectBus(OpenBus& bus) : bus_(bus) {}
    void write(const std::string& device, const std::string& point, Value value, std::int64_t,
               std::function<void(BusResult)> handler) override {
        handler(bus_.write(device, point, value));
    }
    void read(const std::string& device, const std::string& point,
              std::function<void(BusResult)> handler) override {
        handler(bus_.read(device, point));
    }
    [[nodiscard]] std::optional<Value> last(const std::string&, const std::string&) const override {
        return {};
    }

private:
    OpenBus& bus_;
};

int exit_of(LocalEnd end) {
    switch (end) {
    case LocalEnd::done:
        return done;
    case LocalEnd::failed:
        break;
    case LocalEnd::silent:
        return unavailable;
    case LocalEnd::unknown:
        return usage;
    }
    return failed;
}

/// The daemon does not run: opens the queue and the bus, and lets the same router do the same as for a
/// downlink. The outcome is queued, for the daemon to send.
int write_by_hand(const Config& config, PluginDirectory& plugins, const DeviceConfig& device,
                  const WriteOptions& options, std::string& outcome) {
    const SystemClock clock;
    boost::asio::io_context loop;
    QueueOptions queue_options;
    queue_options.config = config.queue;
    queue_options.time = config.time;
    Queue queue(loop.get_executor(), clock, queue_options);
    OpenBus open(config, plugins, [&device, &options](const SourceConfig& source) {
        for (const PointConfig& point : device.points)
            if (point.name == options.point)
                return source.name == (point.source.empty() ? device.source : point.source);
        return false;
    });
    // It answers at once, from within the call: no thread, no wait.
    DirectBus bus(open);
    const DeviceId id = queue.device(device.dvnuuid);
    Router router({bus, queue, clock, make_after(loop),
                   [&queue, id](const Outcome& o) {
                       queue.append({queue.series(id, o.name, o.unit), o.stamp, o.value}, true);
                   },
                   [](const std::string&) {
                   }},
                  config);
    int code = failed;
    // The store answers from a thread of its own: the loop must not run dry before.
    const auto keep_running = boost::asio::make_work_guard(loop);
    router.write_local(device.name, options.point, options.value,
                       [&outcome, &code, &queue, &loop](std::string text, LocalEnd end) {
                           outcome = std::move(text);
                           code = exit_of(end);
                           queue.shutdown([&loop](bool) { loop.stop(); });
                       });
    loop.run();
    return code;
}

} // namespace

int write(const Common& common, const WriteOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    const DeviceConfig* device = find_device(*config, options.device);
    if (!device)
        return usage;
    const std::string request = JsonWriter()
                                    .object()
                                    .member("device", options.device)
                                    .member("point", options.point)
                                    .member("value", options.value)
                                    .end()
                                    .take();
    DaemonAnswer answer = ask(*config, "write", request, minutes(2));
    if (!answer.is_running) {
        if (!become_queue_owner(*config))
            return failed;
        std::string outcome;
        answer.exit_code = write_by_hand(*config, plugins, *device, options, outcome);
        if (answer.exit_code != done)
            print_line(stderr, "error: {}", outcome);
        answer.result = JsonWriter().object().member("outcome", outcome).end().take();
    }
    if (answer.exit_code != done)
        return answer.exit_code;
    simdjson::dom::parser parser;
    if (common.json)
        fmt::print("{}\n", answer.result);
    else
        print_line("{}", std::string_view(parser.parse(answer.result)["outcome"]));
    return done;
}

} // namespace things::cli
