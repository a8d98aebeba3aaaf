// SPDX-License-Identifier: Apache-2.0
#include "delivery/https.hpp"
#include "delivery/signer.hpp"
#include "delivery/uploader.hpp"

#include "platform/log.hpp"
#include "support/delivery_fakes.hpp"
#include "support/tls_server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

// The stage as a whole: readings in memory, real signatures, real TLS, a platform of many moods.

using namespace things;

namespace {

constexpr DeviceId devices = 30;

std::string secret_of(const std::string& uuid) {
    return "secret-of-" + uuid + "-long-enough-to-be-one";
}

/// Refuses what is not signed rightly, and now and then all kinds of other things.
class MoodyPlatform {
public:
    void serve(TestConnection& connection) {
        Signer signer;
        while (const auto request = connection.read_request()) {
            const std::size_t at = request->body.find("DVNUUID:") + 8;
            const std::string uuid = request->body.substr(at, request->body.find(':', at) - at);
            const std::string token = signer.sign(request->body, Secret(secret_of(uuid)));
            if (!request->has("Things-Message-Token: " + token + "\r\n")) {
                ++wrong_tokens;
                connection.write(http_answer(401));
                continue;
            }
            switch (++posts % 9) {
            case 0:
                connection.write(http_answer(500));
                break;
            case 3:
                return; // never answered
            case 6:
                connection.write("HTTP/1.1 202 \r\nContent-Length: 100\r\n\r\n[");
                return;
            default:
                connection.write(http_answer(202));
            }
        }
    }
    std::atomic<int> posts = 0, wrong_tokens = 0;
};

} // namespace

TEST_CASE("readings of many devices reach a moody platform over TLS, each exactly once settled") {
    log::set_level(log::Level::error);
    const TestAuthority authority;
    MoodyPlatform platform;
    TlsServer server(authority.issue("localhost"),
                     [&platform](TestConnection& connection) { platform.serve(connection); });
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("ALL_PROXY");
    unsetenv("all_proxy");
    HttpsSettings settings;
    settings.url = server.url();
    settings.ca_file = authority.file();
    const auto https = make_https(settings);
    boost::asio::io_context loop;
    const auto guard = boost::asio::make_work_guard(loop);
    const SystemClock clock;
    MemoryBacklog backlog(clock);
    ThingsConfig things;
    things.retry_initial = Milliseconds(2);
    things.retry_max = Milliseconds(20);
    BatchConfig batch;
    batch.max_records = 10;
    UploadHooks hooks{[](SeriesId) {
                          return SeriesText{"a", "Cel"};
                      },
                      [](DeviceId, const std::string&) {},
                      [](DeviceId, const std::string&) {},
                      [](const UploadAlarm&) {},
                      [](const UploadAlarm&) {},
                      [] { return true; },
                      [] { return 0.9; },
                      {}};
    Uploader uploader(loop, clock, backlog, *https, things, batch, std::move(hooks));
    for (DeviceId id = 0; id < devices; ++id) {
        const std::string uuid = "uuid-" + std::to_string(id);
        uploader.update({id, "device", uuid, Secret(secret_of(uuid))});
        for (int i = 0; i < 200; ++i)
            backlog.append(id, {0, {1'700'000'000'000 + i, Stamp::Clock::wall}, i * 0.5});
        uploader.notify(id);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (backlog.left() > 0 && std::chrono::steady_clock::now() < until)
        loop.run_for(std::chrono::milliseconds(5));
    CHECK(backlog.left() == 0);
    CHECK(backlog.accepted.size() == devices * 200);
    CHECK(backlog.settled_twice == 0);
    CHECK(platform.wrong_tokens == 0);
    CHECK(uploader.totals().accepted_with_error > 0);
    CHECK(uploader.totals().retries > 0);
    bool is_done = false;
    uploader.shutdown(seconds(5), [&is_done] { is_done = true; });
    while (!is_done && std::chrono::steady_clock::now() < until)
        loop.run_for(std::chrono::milliseconds(5));
    CHECK(is_done);
    https->stop(Milliseconds(0));
    log::set_level(log::Level::info);
}
