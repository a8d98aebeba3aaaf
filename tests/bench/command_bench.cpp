// SPDX-License-Identifier: Apache-2.0
#include "support/rtu_line/rtu_line.hpp"
#include "support/tcp_device.hpp"
#include "support/tls_server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

// How long after the platform's answer left does the first byte of the write reach the device? The real
// daemon, a TLS server and a device in this process, so that one clock times both ends; the way through TLS
// and the loopback counts.
//   command-bench DAEMON PLUGINS [COMMANDS]
// On an idle TCP source the bound is 20 ms; on a busy RTU line (9600 baud, byte by byte) it is one request,
// counted as the requests that began after the answer left and before the write.
using namespace things;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* uuid = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40";

/// One downlink after the other: handed out with the answer to a post, timed when its write arrives.
class Course {
public:
    explicit Course(int commands) : left_(commands) {}

    /// The answer to a post.
    std::string answer() {
        const std::lock_guard<std::mutex> guard(lock_);
        if (pending_ != 0 || left_ == 0 || Clock::now() < not_before_)
            return http_answer(202);
        pending_ = 1 + left_ % 1000;
        --left_;
        requests_ = 0;
        const std::string body = R"([{"bn":"urn:dev:DVNUUID:)" + std::string(uuid) +
                                 R"(:","n":"setpoint","v":)" + std::to_string(pending_) + "}]";
        const std::string answer = http_answer(200, body, "Content-Type: application/json\r\n");
        sent_ = Clock::now();
        return answer;
    }
    /// A request arrived at the device.
    void on_request(const UnitRequest& request) {
        const std::lock_guard<std::mutex> guard(lock_);
        const bool is_write = request.function == 6 || request.function == 16;
        if (pending_ == 0)
            return;
        if (!is_write) {
            ++requests_;
            return;
        }
        took_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - sent_).count());
        most_requests = std::max(most_requests, requests_);
        with_request += requests_ > 0 ? 1 : 0;
        pending_ = 0;
        // After the read back of this one, which waits for its turn on a busy line; in any phase of the
        // polling.
        not_before_ = Clock::now() + std::chrono::milliseconds(250 + left_ * 7 % 83);
    }
    bool is_over() {
        const std::lock_guard<std::mutex> guard(lock_);
        return left_ == 0 && pending_ == 0;
    }

    std::vector<double> took_us;
    int most_requests = 0, with_request = 0;

private:
    std::mutex lock_;
    int left_, pending_ = 0, requests_ = 0;
    Clock::time_point sent_{}, not_before_{};
};

void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
    std::filesystem::permissions(path,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

std::string configuration(const std::filesystem::path& folder, const std::string& url, const std::string& ca,
                          const std::string& source, const std::string& points) {
    return "things: {url: \"" + url + "\", ca_file: " + ca +
           "}\nbatch: {max_age: 100ms}\nqueue: {path: " + (folder / "queue.db").string() +
           ", hot_path: " + (folder / "hot").string() +
           "}\ntime: {require_sync: false}\nweb: null\nlog: {level: warning}\ncontrol: {socket: " +
           (folder / "control.sock").string() + "}\nsources:\n  bus: " + source +
           "\n  fake: {plugin: simulated}\ndevices:\n  - name: boiler\n    dvnuuid: " + uuid +
           "\n    secret: {file: secret}\n    source: bus\n    interval: 1h\n    points:\n"
           "      - {name: beat, source: fake, interval: 100ms}\n"
           "      - {name: setpoint, holding: 200, writable: {repeat_window: 0s}}\n" +
           points;
}

class Daemon {
public:
    Daemon(const char* program, const char* plugins, const std::filesystem::path& config) : pid_(fork()) {
        if (pid_ == 0) {
            execl(program, program, "run", "--config", config.c_str(), "--plugin-dir", plugins, nullptr);
            _exit(127);
        }
    }
    ~Daemon() {
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

private:
    pid_t pid_;
};

/// On a disk, for the two commits before a write are part of what it takes.
class Folder {
public:
    Folder() {
        std::string name = "/var/tmp/things-XXXXXX";
        if (mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("no folder in /var/tmp");
        path_ = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// Runs the course over a device that is there already; false if it did not end.
bool run(char** arguments, Course& course, const std::string& source, const std::string& points) {
    const Folder folder;
    const TestAuthority authority;
    TlsServer server(authority.issue("localhost"), [&course](TestConnection& connection) {
        while (connection.read_request())
            if (!connection.write(course.answer()))
                return;
    });
    write_file(folder.path() / "secret", "abcdefghijklmnopqrstuvwxyzABCD");
    write_file(folder.path() / "gateway.yaml",
               configuration(folder.path(), server.url(), authority.file(), source, points));
    const Daemon daemon(arguments[1], arguments[2], folder.path() / "gateway.yaml");
    const auto deadline = Clock::now() + std::chrono::seconds(120);
    while (!course.is_over() && Clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return course.is_over();
}

double at(const std::vector<double>& sorted, double part) {
    return sorted[std::min(sorted.size() - 1,
                           static_cast<std::size_t>(part * static_cast<double>(sorted.size())))] /
           1000;
}

void report(const char* name, Course& course) {
    std::sort(course.took_us.begin(), course.took_us.end());
    if (course.took_us.empty())
        throw std::runtime_error("no command arrived");
    std::printf("%-10s %zu commands: p50 %.2f ms, p99 %.2f ms, max %.2f ms; requests in between: at most %d, "
                "any in %d\n",
                name, course.took_us.size(), at(course.took_us, 0.5), at(course.took_us, 0.99),
                course.took_us.back() / 1000, course.most_requests, course.with_request);
}

bool idle_tcp(char** arguments, int commands) {
    Course course(commands);
    TcpDevice device;
    device.units.on_request([&course](const UnitRequest& request) {
        course.on_request(request);
        return UnitFault{};
    });
    const bool is_whole =
        run(arguments, course,
            "{plugin: modbus, host: 127.0.0.1, tcp_port: " + std::to_string(device.port()) + "}", "");
    report("idle TCP", course);
    return is_whole && course.took_us.back() <= 20'000;
}

/// 20 registers of each of four units, asked for more often than 9600 baud can carry.
bool busy_rtu(char** arguments, int commands) {
    Course course(commands);
    RtuLine line(RtuLine::Timing::of(9600, 11, 2000));
    std::string points;
    for (int unit = 1; unit <= 4; ++unit) {
        line.units.add(static_cast<std::uint8_t>(unit));
        for (int i = 0; i < 20; ++i)
            points += "      - {name: p" + std::to_string(unit * 100 + i) +
                      ", unit_id: " + std::to_string(unit) +
                      ", interval: 200ms, holding: " + std::to_string(i) + "}\n";
    }
    line.units.on_request([&course](const UnitRequest& request) {
        course.on_request(request);
        return UnitFault{};
    });
    const bool is_whole =
        run(arguments, course,
            "{plugin: modbus, port: " + line.path() + ", baud: 9600, parity: even, allow_overload: true}",
            points);
    report("busy RTU", course);
    return is_whole && course.most_requests <= 1;
}

} // namespace

int main(int count, char** arguments) {
    if (count < 3)
        return 64;
    const int commands = count > 3 ? std::atoi(arguments[3]) : 200;
    const bool is_fast = idle_tcp(arguments, commands);
    const bool is_fair = busy_rtu(arguments, commands);
    return is_fast && is_fair ? 0 : 1;
}
