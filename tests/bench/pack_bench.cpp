// SPDX-License-Identifier: Apache-2.0
#include "delivery/https.hpp"
#include "delivery/packer.hpp"
#include "delivery/signer.hpp"
#include "delivery/uploader.hpp"

#include "support/delivery_fakes.hpp"
#include "support/tls_server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

// What delivery costs: CPU time a reading for packing and signing, for the uploader with a platform that
// answers at once, and posts per second over TLS on the loopback (server in the same process).
// Usage: pack_bench [seconds per line, default 1]
namespace things {
namespace {

double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double wall_seconds() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

const std::string dvnuuid = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40";
const Secret secret("abcdefghijklmnopqrstuvwxyzABCD");

SeriesText find_text(SeriesId id) {
    static const std::vector<std::pair<std::string, std::string>> all = {
        {"temperature", "Cel"}, {"humidity", "%RH"}, {"power", "W"},   {"energy", "Wh"}, {"voltage/l1", "V"},
        {"voltage/l2", "V"},    {"current/l1", "A"}, {"flow", "m3/s"}, {"pump", ""},     {"pressure", "Pa"}};
    const auto& one = all[id % all.size()];
    return {one.first, one.second};
}

Batch make_batch(std::size_t count) {
    Batch batch;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t ms = 1'700'000'000'000 + static_cast<std::int64_t>(i / 10) * 1000 + 37;
        Value value = static_cast<double>(static_cast<float>(i) * 0.1F + 20);
        if (i % 10 == 8)
            value = i % 20 == 8;
        if (i % 10 == 3)
            value = static_cast<std::int64_t>(1'234'567 + i);
        batch.readings.push_back({static_cast<SeriesId>(i % 10), {ms, Stamp::Clock::wall}, std::move(value)});
        batch.sequence.push_back(i + 1);
    }
    return batch;
}

void measure_packing(std::size_t count, double duration, bool is_signing) {
    const Batch batch = make_batch(count);
    Packer packer(&find_text);
    Signer signer;
    const std::string base = senml_base_name(dvnuuid);
    std::size_t packs = 0, bytes = 0;
    const double start = cpu_seconds();
    while (cpu_seconds() - start < duration) {
        for (int i = 0; i < 100; ++i) {
            const Pack pack = packer.pack(base, batch, 0, count, {count, 10'000'000});
            bytes = pack.body.size();
            if (is_signing && signer.sign(pack.body, secret).size() != 64)
                std::abort();
            ++packs;
        }
    }
    const double spent = cpu_seconds() - start;
    fmt::print("{:<18} {:>5} a pack: {:7.1f} ns CPU a reading, {:.1f} bytes a reading\n",
               is_signing ? "pack and sign" : "pack", count, spent / static_cast<double>(packs * count) * 1e9,
               static_cast<double>(bytes) / static_cast<double>(count));
}

/// Readings without end, so that only delivery is measured.
class EndlessBacklog : public Backlog {
public:
    explicit EndlessBacklog(std::size_t count) : batch_(make_batch(count)) {}
    [[nodiscard]] Waiting waiting(DeviceId) const override {
        return {is_over ? 0 : batch_.readings.size(), 0, 0, true};
    }
    void take(DeviceId device, Lane, std::size_t, std::function<void(Batch)> handler) override {
        Batch batch = batch_;
        batch.device = device;
        handler(std::move(batch));
    }
    void take(DeviceId, const std::vector<Span>&, std::function<void(Batch)> handler) override {
        handler({});
    }
    void settle(const Batch&, std::size_t, std::size_t count, Fate fate, const std::string&) override {
        accepted += fate == Fate::accepted ? count : 0;
    }
    std::size_t accepted = 0;
    bool is_over = false;

private:
    Batch batch_;
};

class PromptHttps : public Https {
public:
    void post(Post, Handler handler) override {
        Answer answer;
        answer.status = 202;
        handler(std::move(answer));
    }
    void configure(HttpsSettings) override {}
    void renew() override {}
    void stop(Milliseconds) override {}
    Milliseconds silence(std::int64_t) override { return {}; }
};

void measure_uploader(const char* what, Https& https, std::size_t count, int devices, double duration) {
    boost::asio::io_context loop;
    const auto guard = boost::asio::make_work_guard(loop);
    const SystemClock clock;
    EndlessBacklog backlog(count);
    ThingsConfig things;
    BatchConfig batch;
    batch.max_records = static_cast<int>(count);
    batch.max_bytes = 10'000'000;
    UploadHooks hooks{&find_text,
                      [](DeviceId, const std::string&) {},
                      [](DeviceId, const std::string&) {},
                      [](const UploadAlarm&) {},
                      [](const UploadAlarm&) {},
                      [] { return true; },
                      [] { return 0.5; },
                      {}};
    Uploader uploader(loop, clock, backlog, https, things, batch, std::move(hooks));
    for (int id = 0; id < devices; ++id)
        uploader.update({static_cast<DeviceId>(id), "d", dvnuuid, secret});
    const double start = wall_seconds(), cpu = cpu_seconds();
    while (wall_seconds() - start < duration)
        loop.run_for(std::chrono::milliseconds(20));
    const double spent = wall_seconds() - start, busy = cpu_seconds() - cpu;
    const auto packs = static_cast<double>(uploader.totals().packs_accepted);
    fmt::print("{:<18} {:>5} a pack, {} devices: {:8.0f} packs/s, {:9.0f} readings/s, {:6.2f} us CPU a pack, "
               "{:6.1f} ns a reading\n",
               what, count, devices, packs / spent, packs * static_cast<double>(count) / spent,
               busy / packs * 1e6, busy / packs / static_cast<double>(count) * 1e9);
    backlog.is_over = true;
    https.stop(seconds(1));
}

} // namespace
} // namespace things

int main(int argc, char** argv) {
    using namespace things;
    const double duration = argc > 1 ? std::strtod(argv[1], nullptr) : 1.0;
    for (const std::size_t count : {10U, 100U, 1000U})
        measure_packing(count, duration, false);
    for (const std::size_t count : {10U, 100U, 1000U})
        measure_packing(count, duration, true);
    for (const std::size_t count : {10U, 100U}) {
        PromptHttps https;
        measure_uploader("uploader", https, count, 50, duration);
    }
    const TestAuthority authority;
    TlsServer server(authority.issue("localhost"), [](TestConnection& connection) {
        const std::string answer = http_answer(202);
        while (connection.read_request() && connection.write(answer)) {
        }
    });
    for (const std::size_t count : {10U, 100U}) {
        HttpsSettings settings;
        settings.url = server.url();
        settings.ca_file = authority.file();
        const auto https = make_https(settings);
        measure_uploader("TLS, with server", *https, count, 50, duration);
    }
    return 0;
}
