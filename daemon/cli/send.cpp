// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_link.hpp"
#include "cli/open_bus.hpp"
#include "cli/print.hpp"

#include "delivery/explanation.hpp"
#include "delivery/https.hpp"
#include "delivery/signer.hpp"
#include "gateway/read_report.hpp"
#include "platform/clock.hpp"
#include "platform/json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdio>
#include <future>
#include <set>

namespace things::cli {

namespace {

std::vector<PointResult> read_all(const Config& config, PluginDirectory& plugins,
                                  const DeviceConfig& device) {
    std::set<std::string> sources;
    for (const PointConfig& point : device.points)
        sources.insert(point.source.empty() ? device.source : point.source);
    OpenBus bus(config, plugins, [&sources](const SourceConfig& s) { return sources.contains(s.name); });
    std::vector<PointResult> results;
    for (const PointConfig& point : device.points) {
        if (point.write_only)
            continue;
        results.push_back({&point, bus.read(device.name, point.name)});
        if (!results.back().result.is_ok())
            print_line(stderr, "{}: {}", point.name, results.back().result.text);
    }
    return results;
}

void print_request(const Config& config, const std::string& body, const std::string& token) {
    fmt::print(
        "POST {}\nContent-Type: application/json\nThings-Message-Token: {}\nContent-Length: {}\n\n{}\n",
        config.things.url, token, body.size(), body);
}

Answer post(const Config& config, const std::string& body, const std::string& token) {
    const std::unique_ptr<Https> https = make_https(https_settings(config.things));
    auto promise = std::make_shared<std::promise<Answer>>(); // with the upload thread
    std::future<Answer> answer = promise->get_future();
    https->post({body, token}, [promise](Answer a) { promise->set_value(std::move(a)); });
    return answer.get(); // bounded by the configured timeouts
}

/// An answer that refuses is one too.
int exit_of(bool is_accepted, std::int64_t status) {
    return is_accepted ? done : status == 0 ? unavailable : failed;
}

/// Says what the platform answered; a downlink in it would be lost if nobody told.
int print_answer(const Common& common, const Config& config, const DeviceConfig& device,
                 const Answer& answer) {
    const std::int64_t now = SystemClock().wall_ms();
    const Verdict verdict = judge(answer, now);
    const bool ok = verdict.next == Next::delivered || verdict.next == Next::delivered_with_error;
    const Explanation words = explain(
        answer, {host_of(config.things.url), device.name, device.dvnuuid, now, now >= build_floor_ms()});
    if (common.json)
        fmt::print("{}\n", JsonWriter()
                               .object()
                               .member("accepted", ok)
                               .member("status", answer.status)
                               .member("answer", words.text())
                               .member("duration_ms", std::int64_t{answer.duration.count()})
                               .member("downlink", answer.body)
                               .end()
                               .take());
    else
        print_line("{}", words.text());
    if (ok && !answer.body.empty())
        print_line(
            stderr,
            "the answer carried a downlink, which was not carried out because the daemon does not run: {}",
            answer.body);
    return exit_of(ok, answer.status);
}

/// Prints what the daemon found out.
int print_daemon(const Common& common, const std::string& result) {
    simdjson::dom::parser parser;
    const simdjson::dom::element json = parser.parse(result);
    const bool ok = json["accepted"];
    if (common.json)
        fmt::print("{}\n", result);
    else
        print_line("{}", std::string_view(json["answer"]));
    return exit_of(ok, json["status"]);
}

} // namespace

int send(const Common& common, const SendOptions& options) {
    PluginDirectory plugins = installed_plugins(common);
    const std::optional<Config> config = load_for_daemon(common, plugins);
    if (!config)
        return configuration;
    const DeviceConfig* device = find_device(*config, options.device);
    if (!device)
        return usage;
    if (!options.dry_run) {
        const std::string request = JsonWriter().object().member("device", options.device).end().take();
        const DaemonAnswer answer = ask(*config, "send", request, minutes(2));
        if (answer.is_running)
            return answer.exit_code == done ? print_daemon(common, answer.result) : answer.exit_code;
    }
    std::string body;
    if (options.dry_run) {
        const std::string request = JsonWriter().object().member("device", options.device).end().take();
        const DaemonAnswer answer = ask(*config, "read", request, minutes(2));
        simdjson::dom::parser parser;
        if (answer.is_running && answer.exit_code == done)
            body = std::string(std::string_view(parser.parse(answer.result)["senml"]));
        else if (answer.is_running)
            return answer.exit_code;
    }
    if (body.empty() && SystemClock().wall_ms() < build_floor_ms()) {
        print_line(
            stderr,
            "error: this machine's clock is wrong: it is before this program was made, so that no reading "
            "can carry its time "
            "and no certificate is valid. Set the clock (timedatectl), or let it reach a time server");
        return failed;
    }
    if (body.empty())
        body = pack_of(*device, read_all(*config, plugins, *device), SystemClock().wall_ms());
    if (body.empty()) {
        print_line(stderr, "error: no point of \"{}\" could be read, so there is nothing to send",
                   device->name);
        return unavailable;
    }
    // Read late: all that can go wrong before needs no secret.
    const std::optional<Config> known = load_config(common, plugins, Secrets::to_send);
    if (!known)
        return configuration;
    const std::string token = Signer().sign(body, find_device(*known, options.device)->secret);
    if (options.dry_run) {
        print_request(*config, body, token);
        return done;
    }
    return print_answer(common, *config, *device, post(*known, body, token));
}

} // namespace things::cli
