// SPDX-License-Identifier: Apache-2.0
#include "control/server.hpp"

#include "control/client.hpp"
#include "platform/json.hpp"
#include "support/temp_dir.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace std::chrono_literals;
using things::ask_daemon;
using things::ControlAnswer;
using things::ControlLimits;
using things::ControlRequest;
using things::SharedReply;
using Status = ControlAnswer::Status;
using Time = std::chrono::steady_clock;

namespace {

constexpr auto patience = 10s;

/// A server with a few verbs, on a loop of its own thread.
class Daemon {
public:
    explicit Daemon(ControlLimits limits = {}, std::string path = {})
        : server(loop, limits),
          path_(path.empty() ? (folder.path() / "control.sock").string() : std::move(path)) {
        server.add("echo", [](const ControlRequest& request, const SharedReply& reply) {
            reply->finish(things::json_string(request.text("text")));
        });
        server.add("who", [](const ControlRequest& request, const SharedReply& reply) {
            reply->finish(std::to_string(request.uid) + std::string());
        });
        server.add("scan", [](const ControlRequest&, const SharedReply& reply) {
            reply->progress("{\"part\":0.5}");
            reply->progress("{\"part\":1}");
            reply->finish("[3,7]");
        });
        server.add("fail", [](const ControlRequest&, const SharedReply& reply) {
            reply->fail(69, "plc did not answer");
        });
        server.add("large", [](const ControlRequest&, const SharedReply& reply) {
            reply->finish(things::json_string(std::string(2'000'000, 'x')));
        });
        server.add("forget", [](const ControlRequest&, const SharedReply&) {});
        server.add("throw",
                   [](const ControlRequest&, const SharedReply&) { throw std::runtime_error("a mistake"); });
        server.add("keep",
                   [this](const ControlRequest&, const SharedReply& reply) { kept.push_back(reply); });
        CHECK(server.listen(path_).empty());
        thread_ = std::thread([this] { loop.run(); });
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() {
        loop.stop();
        thread_.join();
    }

    /// Runs something on the loop and waits for it.
    template <typename Call>
    auto on_loop(Call call) {
        std::packaged_task<decltype(call())()> task(std::move(call));
        auto result = task.get_future();
        boost::asio::post(loop, [&task] { task(); });
        return result.get();
    }
    template <typename Condition>
    bool wait_until(Condition condition) {
        const auto until = Time::now() + patience;
        while (!on_loop(condition))
            if (Time::now() > until)
                return false;
        return true;
    }
    std::size_t connections() {
        return on_loop([this] { return server.connection_count(); });
    }
    [[nodiscard]] ControlAnswer ask(const std::string& verb, const std::string& arguments = {}) {
        return ask_daemon(path_, verb, arguments, patience);
    }
    [[nodiscard]] const std::string& path() const { return path_; }

    things::TempDir folder;
    boost::asio::io_context loop;
    std::vector<SharedReply> kept;
    things::ControlServer server;

private:
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop.get_executor()};
    std::string path_;
    std::thread thread_;
};

std::string post(const std::string& verb, const std::string& body = {}) {
    return "POST /v1/" + verb + " HTTP/1.1\r\nHost: gw\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

/// A client that does as it likes.
class RawClient {
public:
    explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;
    ~RawClient() { hang_up(); }

    bool send(const std::string& text) const {
        return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
               static_cast<ssize_t>(text.size());
    }
    void half_close() const { shutdown(fd_, SHUT_WR); }
    void hang_up() {
        if (fd_ >= 0)
            close(fd_);
        fd_ = -1;
    }
    /// Of the next answer the last line; "" at the end of the connection. Empty lines and heads are skipped.
    std::string answer() {
        for (;;) {
            const std::string one = line();
            if (one.empty() && is_at_end_)
                return {};
            if (one.starts_with("{\"done\""))
                return one;
        }
    }
    std::string line() {
        for (;;) {
            if (const auto end = buffer_.find('\n'); end != std::string::npos) {
                const auto line = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                return line;
            }
            if (!receive())
                return {};
        }
    }
    bool is_closed() {
        while (receive())
            buffer_.clear();
        return is_at_end_;
    }

private:
    bool receive() {
        pollfd waiting{fd_, POLLIN, 0};
        if (poll(&waiting, 1, 10'000) != 1)
            return false;
        std::array<char, 65536> chunk{};
        const auto count = recv(fd_, chunk.data(), chunk.size(), 0);
        is_at_end_ = count <= 0;
        if (count > 0)
            buffer_.append(chunk.data(), static_cast<std::size_t>(count));
        return count > 0;
    }
    int fd_;
    bool is_at_end_ = false;
    std::string buffer_;
};

} // namespace

TEST_CASE("a request is answered, with progress, a result or an error") {
    Daemon daemon;
    CHECK(daemon.ask("echo", R"({"text":"a\"b\nc"})").result == R"("a\"b\nc")");
    CHECK(daemon.ask("who").result == std::to_string(getuid()));
    std::vector<std::string> progress;
    const auto scan = ask_daemon(daemon.path(), "scan", "", patience,
                                 [&progress](const std::string& json) { progress.push_back(json); });
    CHECK(scan.status == Status::ok);
    CHECK(scan.exit_code == 0);
    CHECK(scan.result == "[3,7]");
    CHECK(progress == std::vector<std::string>{R"({"part":0.5})", R"({"part":1})"});
    const auto failed = daemon.ask("fail");
    CHECK(failed.status == Status::failed);
    CHECK(failed.exit_code == 69);
    CHECK(failed.error == "plc did not answer");
    CHECK(daemon.ask("large").result.size() == 2'000'002);
    CHECK(daemon.ask("nonsense").exit_code == 64);
    CHECK(daemon.ask("echo", "no JSON").error.find("not valid JSON") != std::string::npos);
    CHECK(daemon.ask("throw").error == "a mistake");
    CHECK(daemon.ask("forget").error == "the request was dropped without an answer");
    CHECK(daemon.wait_until([&daemon] { return daemon.server.connection_count() == 0; }));
}

TEST_CASE("requests of one connection are answered in order, good and bad ones") {
    Daemon daemon;
    RawClient client(daemon.path());
    REQUIRE(client.send(post("echo", R"({"text":"1"})") + post("echo", "rubbish") + post("scan") +
                        post("../etc/passwd") + "GET /v1/echo HTTP/1.1\r\n\r\nGET /page HTTP/1.1\r\n\r\n" +
                        post("echo", R"({"text":"2"})") + "rubbish\r\n\r\n"));
    CHECK(client.answer() == R"({"done":true,"ok":true,"result":"1"})");
    CHECK(client.answer().find("not valid JSON") != std::string::npos);
    CHECK(client.answer() == R"({"done":true,"ok":true,"result":[3,7]})");
    CHECK(client.answer().find("knows no") != std::string::npos);
    CHECK(client.answer().find("POST") != std::string::npos);
    CHECK(client.answer().find("verbs are below /v1/") != std::string::npos);
    CHECK(client.answer() == R"({"done":true,"ok":true,"result":"2"})");
    CHECK(client.answer().find("not an HTTP request") != std::string::npos);
    CHECK(client.is_closed());
}

TEST_CASE("a request under way holds up the next of its connection only") {
    Daemon daemon;
    RawClient client(daemon.path());
    REQUIRE(client.send(post("keep") + post("echo", R"({"text":"2"})")));
    REQUIRE(daemon.wait_until([&daemon] { return daemon.kept.size() == 1; }));
    CHECK(daemon.ask("echo", R"({"text":"other"})").status == Status::ok);
    daemon.on_loop([&daemon] {
        daemon.kept.front()->finish("1");
        daemon.kept.front()->finish("once more");
        daemon.kept.front()->progress("late");
    });
    CHECK(client.answer() == R"({"done":true,"ok":true,"result":1})");
    CHECK(client.answer() == R"({"done":true,"ok":true,"result":"2"})");
}

TEST_CASE("a client that goes away closes its reply, one that only ends its requests gets its answer") {
    Daemon daemon;
    RawClient client(daemon.path());
    REQUIRE(client.send(post("keep")));
    REQUIRE(daemon.wait_until([&daemon] { return daemon.kept.size() == 1; }));
    SUBCASE("gone") {
        CHECK(daemon.on_loop([&daemon] { return daemon.kept.front()->is_open(); }));
        client.hang_up();
        CHECK(daemon.wait_until([&daemon] { return !daemon.kept.front()->is_open(); }));
        daemon.on_loop([&daemon] { daemon.kept.front()->finish("1"); });
        CHECK(daemon.connections() == 0);
    }
    SUBCASE("half closed, then gone") {
        client.half_close();
        CHECK(daemon.ask("echo").status == Status::ok);
        CHECK(daemon.on_loop([&daemon] { return daemon.kept.front()->is_open(); }));
        client.hang_up();
        CHECK(daemon.wait_until([&daemon] { return !daemon.kept.front()->is_open(); }));
    }
    SUBCASE("half closed") {
        client.half_close();
        daemon.on_loop([&daemon] { daemon.kept.front()->finish("1"); });
        CHECK(client.answer() == R"({"done":true,"ok":true,"result":1})");
        CHECK(client.is_closed());
    }
}

TEST_CASE("half a message, a slow one and an endless one end by themselves") {
    ControlLimits limits;
    limits.idle_ms = 50;
    Daemon daemon(limits);
    SUBCASE("half") {
        RawClient client(daemon.path());
        REQUIRE(client.send("POST /v1/echo HTTP/1.1\r\nContent-Length: 7\r\n\r\n{"));
        CHECK(client.is_closed());
    }
    SUBCASE("nothing") {
        RawClient client(daemon.path());
        CHECK(client.is_closed());
    }
    SUBCASE("a byte now and then") {
        RawClient client(daemon.path());
        const auto until = Time::now() + patience;
        bool is_cut_off = false;
        while (!is_cut_off && Time::now() < until) {
            is_cut_off = !client.send("x");
            poll(nullptr, 0, 1);
        }
        CHECK(is_cut_off);
    }
    SUBCASE("endless") {
        RawClient client(daemon.path());
        const std::string much = post("echo", std::string(64 * 1024 + 5000, 'x'));
        for (std::size_t at = 0; at < much.size(); at += 4096) {
            const auto until = Time::now() + patience;
            while (!client.send(much.substr(at, 4096)) && Time::now() < until)
                poll(nullptr, 0, 1);
        }
        CHECK(client.answer().find("too large") != std::string::npos);
        CHECK(client.is_closed());
    }
    CHECK(daemon.wait_until([&daemon] { return daemon.server.connection_count() == 0; }));
    CHECK(daemon.ask("echo").status == Status::ok);
}

TEST_CASE("a client that does not read is cut off") {
    ControlLimits limits;
    SUBCASE("by what waits for it") {
        limits.max_pending = 1 << 20;
    }
    SUBCASE("by the time it takes") {
        limits.stalled_ms = 50;
    }
    Daemon daemon(limits);
    RawClient client(daemon.path());
    REQUIRE(client.send(post("large") + post("large")));
    CHECK(daemon.wait_until([&daemon] { return daemon.server.connection_count() == 0; }));
    CHECK(daemon.ask("echo").status == Status::ok);
}

TEST_CASE("a flood waits, and is answered at the daemon's pace") {
    ControlLimits limits;
    limits.requests_per_second = 200;
    Daemon daemon(limits);
    RawClient client(daemon.path());
    const auto start = Time::now();
    const std::string one = post("echo");
    std::string flood;
    for (int i = 0; i < 500; ++i)
        flood += one;
    std::thread sender([&client, &flood, &one] {
        std::size_t at = 0;
        const auto until = Time::now() + patience;
        while (at < flood.size() && Time::now() < until) {
            if (client.send(flood.substr(at, one.size())))
                at += one.size();
            else
                poll(nullptr, 0, 1);
        }
    });
    int answered = 0;
    while (answered < 500 && !client.answer().empty())
        ++answered;
    sender.join();
    CHECK(answered == 500);
    CHECK(Time::now() - start >= 400ms); // 400 at once, 100 at 200 a second
}

TEST_CASE("a client that is still taking its answer makes place for nobody") {
    ControlLimits limits;
    limits.connections = 1;
    limits.idle_ms = 50;
    Daemon daemon(limits);
    RawClient slow(daemon.path());
    REQUIRE(slow.send(post("large"))); // more than the socket holds
    CHECK(slow.line() == "HTTP/1.1 200 OK\r");
    CHECK(daemon.ask("echo").error == "too many clients");
    CHECK(slow.answer().size() > 2'000'000);
}

TEST_CASE("more clients than fit: the idlest makes place, busy ones do not") {
    ControlLimits limits;
    limits.connections = 2;
    Daemon daemon(limits);
    RawClient first(daemon.path());
    REQUIRE(daemon.wait_until([&daemon] { return daemon.server.connection_count() == 1; }));
    RawClient second(daemon.path());
    REQUIRE(daemon.wait_until([&daemon] { return daemon.server.connection_count() == 2; }));
    CHECK(daemon.ask("echo").status == Status::ok);
    CHECK(first.is_closed());
    REQUIRE(second.send(post("keep")));
    RawClient third(daemon.path());
    REQUIRE(third.send(post("keep")));
    REQUIRE(daemon.wait_until([&daemon] { return daemon.kept.size() == 2; }));
    CHECK(daemon.ask("echo").error == "too many clients");
    CHECK(daemon.wait_until([&daemon] { return daemon.server.connection_count() == 2; }));
}

TEST_CASE("the socket's file") {
    things::TempDir folder;
    const auto path = (folder.path() / "run" / "control.sock").string();
    boost::asio::io_context loop;
    struct stat file {};
    SUBCASE("is for the owner and the group, and goes with the server") {
        {
            things::ControlServer server(loop);
            CHECK(server.listen(path).empty());
            REQUIRE(stat(path.c_str(), &file) == 0);
            CHECK((file.st_mode & 0777) == 0660);
        }
        CHECK(stat(path.c_str(), &file) != 0);
    }
    SUBCASE("of a daemon that was killed is taken over") {
        std::filesystem::create_directories(folder.path() / "run");
        const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        close(fd);
        things::ControlServer server(loop);
        CHECK(server.listen(path).empty());
        CHECK(stat(path.c_str(), &file) == 0);
    }
    SUBCASE("of a living daemon is left alone") {
        Daemon daemon({}, path);
        things::ControlServer server(loop);
        CHECK(server.listen(path).find("another gateway is running") != std::string::npos);
        CHECK(daemon.ask("echo").status == Status::ok);
    }
    SUBCASE("is never put in place of something else") {
        std::filesystem::create_directories(folder.path() / "run");
        std::ofstream(path) << "precious";
        things::ControlServer server(loop);
        CHECK(server.listen(path).find("no socket") != std::string::npos);
        CHECK(std::filesystem::file_size(path) == 8);
    }
    SUBCASE("of a successor is not removed") {
        things::ControlServer server(loop);
        CHECK(server.listen(path).empty());
        std::filesystem::remove(path);
        std::ofstream(path) << "successor";
        server.close();
        CHECK(std::filesystem::exists(path));
    }
    SUBCASE("that somebody removed is made again") {
        Daemon daemon({}, path);
        std::filesystem::remove(path);
        daemon.on_loop([&daemon, &path] {
            CHECK(daemon.server.listen(path).empty());
            CHECK(daemon.server.listen(path).empty());
        });
        CHECK(daemon.ask("echo").status == Status::ok);
    }
    SUBCASE("with too long a path is an error") {
        things::ControlServer server(loop);
        CHECK(server.listen(folder.path() / std::string(200, 'x')).find("longer") != std::string::npos);
    }
}

TEST_CASE("a client learns why it gets no answer") {
    things::TempDir folder;
    const auto path = folder.path() / "control.sock";
    CHECK(ask_daemon(path, "echo", "", 1s).status == Status::absent);
    CHECK(ask_daemon(folder.path() / std::string(200, 'x'), "echo", "", 1s).status == Status::broken);
    Daemon daemon;
    const auto silent = ask_daemon(daemon.path(), "keep", "", 50ms);
    CHECK(silent.status == Status::broken);
    CHECK(silent.exit_code == 69);
    CHECK(silent.error.find("did not answer within") != std::string::npos);
    const auto closed =
        std::async(std::launch::async, [&daemon] { return ask_daemon(daemon.path(), "keep", "", patience); });
    REQUIRE(daemon.wait_until([&daemon] { return daemon.kept.size() == 2; }));
    daemon.on_loop([&daemon] { daemon.server.close(); });
    CHECK(const_cast<std::future<ControlAnswer>&>(closed).get().error.find("closed the connection") !=
          std::string::npos);
    CHECK(ask_daemon(daemon.path(), "echo", "", 1s).status == Status::absent);
}
