// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway.hpp"

#include "cli/setup.hpp"
#include "control/client.hpp"
#include "support/config_files.hpp"
#include "support/tls_server.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <unistd.h>

using namespace things;

namespace {

/// Keeps the packs that it accepts, and sends this process a signal when it has as many as it waits for.
class Platform {
public:
    Platform() : server_(authority_.issue("localhost"), [this](TestConnection& peer) { serve(peer); }) {}

    [[nodiscard]] std::string things() const {
        return fmt::format("things: {{url: '{}', ca_file: {}}}\n", server_.url(), authority_.file());
    }
    /// Before the first pack. Called when so many have come, on the server's thread.
    void at(int packs, std::function<void()> act) { acts_[packs] = std::move(act); }
    void raise_at(int packs, int signal) {
        at(packs, [signal] { kill(getpid(), signal); });
    }
    [[nodiscard]] std::vector<std::string> packs() {
        const std::lock_guard lock(mutex_);
        return packs_;
    }

private:
    void serve(TestConnection& peer) {
        while (const std::optional<HttpRequest> request = peer.read_request()) {
            std::function<void()> act;
            {
                const std::lock_guard lock(mutex_);
                packs_.push_back(request->body);
                if (const auto found = acts_.find(static_cast<int>(packs_.size())); found != acts_.end())
                    act = found->second;
            }
            peer.write(http_answer(202));
            if (act)
                act();
        }
    }

    TestAuthority authority_;
    std::mutex mutex_;
    std::vector<std::string> packs_;
    std::map<int, std::function<void()>> acts_;
    TlsServer server_;
};

constexpr const char* device = R"(
web: null
control: {socket: control.sock}
time: {require_sync: false}
batch: {max_age: 100ms}
queue: {path: queue.db, hot_path: hot}
sources:
  fake: {plugin: simulated}
devices:
  - {name: boiler, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40, secret: abcdefghijklmnopqrstuvwxyzABCD, source: fake,
     interval: 100ms, points: [{name: temperature, unit: Cel}]}
)";

CheckedConfig checked(const std::filesystem::path& file) {
    PluginDirectory plugins({THINGS_TEST_PLUGINS}, THINGS_TEST_PLUGINS, {});
    cli::Checked result = cli::check_config(file, plugins, cli::Secrets::to_send);
    for (const Problem& problem : result.problems)
        MESSAGE(problem.text());
    REQUIRE(result.config);
    return {std::move(*result.config), {}, std::move(plugins)};
}

} // namespace

TEST_CASE("a reading reaches the platform by way of the queue, and a stop leaves nothing behind") {
    ConfigFiles files;
    Platform platform;
    platform.raise_at(3, SIGTERM);
    const SystemClock clock;
    Gateway gateway(checked(files.write("gateway.yaml", platform.things() + device)), clock,
                    [] { return Reload::Result{}; });
    gateway.start();
    CHECK(gateway.run() == Gateway::End::stopped);
    const std::vector<std::string> packs = platform.packs();
    REQUIRE(packs.size() >= 3);
    for (const std::string& pack : packs) {
        CHECK(pack.find(R"("bn":"urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:")") !=
              std::string::npos);
        CHECK(pack.find(R"("n":"temperature","u":"Cel")") != std::string::npos);
    }
    CHECK(std::filesystem::exists(files.folder() / "queue.db"));
}

TEST_CASE("a reload that is refused changes nothing") {
    ConfigFiles files;
    Platform platform;
    platform.raise_at(2, SIGHUP);
    std::atomic<int> loads = 0;
    const std::filesystem::path socket = files.folder() / "control.sock";
    std::string status, reading;
    platform.at(6, [&socket, &status, &reading] {
        // The reload may be a moment behind the packs.
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        do
            status = ask_daemon(socket, "status", "", std::chrono::seconds(10)).result;
        while (status.find("unknown key") == std::string::npos && std::chrono::steady_clock::now() < until);
        reading = ask_daemon(socket, "read", R"({"device":"boiler"})", std::chrono::seconds(10)).result;
        kill(getpid(), SIGTERM);
    });
    const SystemClock clock;
    Gateway gateway(checked(files.write("gateway.yaml", platform.things() + device)), clock, [&loads] {
        ++loads;
        return Reload::Result{std::nullopt, "gateway.yaml:3:1: error: unknown key"};
    });
    gateway.start();
    CHECK(gateway.run() == Gateway::End::stopped);
    CHECK(loads == 1);
    CHECK(platform.packs().size() >= 6);
    CHECK(status.find("gateway.yaml:3:1: error: unknown key") != std::string::npos); // an alarm
    CHECK(status.find(R"("restarts":0)") != std::string::npos);                      // of the source
    CHECK(reading.find(R"("name":"temperature")") != std::string::npos);             // it still answers
}
