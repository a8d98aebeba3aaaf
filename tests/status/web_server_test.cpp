// SPDX-License-Identifier: Apache-2.0
#include "status/web_server.hpp"

#include "support/temp_dir.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace things;
using namespace std::string_literals;
using boost::asio::ip::tcp;

namespace {

/// A server with one page on a loop of its own thread, for blocking clients.
class Running {
public:
    explicit Running(const std::string& socket = {})
        : server_(loop_, config(socket),
                  {{"/", {[] {
                        return WebAnswer{200, "text/html", "hello"};
                    }}},
                   {"/healthz",
                    {[] {
                         return WebAnswer{200, "text/plain", "ok"};
                     },
                     true}}}) {
        CHECK(server_.listen().empty());
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Running() {
        loop_.stop();
        thread_.join();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    tcp::socket connect(const char* from = "127.0.0.1") {
        tcp::socket socket(client_loop_, tcp::v4());
        socket.bind({boost::asio::ip::make_address(from), 0});
        socket.connect({boost::asio::ip::make_address("127.0.0.1"), server_.port()});
        return socket;
    }

    /// Sends `request` as it is and returns everything that comes back until the server closes.
    std::string ask(const std::string& request) {
        tcp::socket socket = connect();
        boost::asio::write(socket, boost::asio::buffer(request));
        std::string answer;
        boost::system::error_code error;
        boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);
        return answer;
    }

private:
    static WebConfig config(const std::string& socket) {
        WebConfig config;
        config.port = 0;
        config.socket = socket;
        config.names = {"gateway.example"};
        return config;
    }
    boost::asio::io_context loop_;
    boost::asio::io_context client_loop_;
    WebServer server_;
    std::thread thread_;
};

std::string get(const std::string& headers, const std::string& target = "/") {
    return "GET " + target + " HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n";
}

} // namespace

TEST_CASE("the page has the names it was given, and programs ask by any") {
    Running running;
    CHECK(running.ask(get("Host: gateway.example\r\n")).starts_with("HTTP/1.1 200 "));
    CHECK(running.ask(get("Host: evil.example\r\n")).find("web.names") != std::string::npos);
    CHECK(running.ask(get("Host: prometheus.target:8480\r\n", "/healthz")).starts_with("HTTP/1.1 200 "));
    CHECK(running.ask(get("", "/healthz")).starts_with("HTTP/1.1 200 "));
}

TEST_CASE("what two programs could read in two ways is refused") {
    Running running;
    for (const char* headers :
         {"Host: localhost\r\nHost: evil.example\r\n", "Host: localhost\r\nTransfer-Encoding: xchunked\r\n",
          "Host: localhost\r\nTransfer-Encoding: chunked, identity\r\n"})
        CHECK_MESSAGE(running.ask(get(headers)).starts_with("HTTP/1.1 400 "), headers);
    for (const char* headers : {"Host: localhost\r\nOrigin: http://evil.example://localhost\r\n",
                                "Host: localhost\r\nSec-Fetch-Site: Cross-Site\r\n"})
        CHECK_MESSAGE(running.ask(get(headers)).starts_with("HTTP/1.1 403 "), headers);
}

TEST_CASE("a client with half a header in every place keeps nobody away") {
    Running running;
    std::vector<tcp::socket> halves;
    const auto crowd = [&running, &halves](const char* from) {
        for (int i = 0; i < 40; ++i) {
            halves.push_back(running.connect(from));
            boost::asio::write(halves.back(), boost::asio::buffer("GET / HT"s));
        }
    };
    SUBCASE("at its own address") {
        crowd("127.0.0.1");
        CHECK(running.ask(get("Host: localhost\r\n")).starts_with("HTTP/1.1 200 "));
    }
    SUBCASE("nor an older client of another address") {
        tcp::socket slow = running.connect("127.0.0.1");
        boost::asio::write(slow, boost::asio::buffer("GET / HTTP/1.1\r\n"s));
        crowd("127.0.0.2");
        boost::asio::write(slow, boost::asio::buffer("Host: localhost\r\nConnection: close\r\n\r\n"s));
        std::string answer;
        boost::system::error_code end;
        boost::asio::read(slow, boost::asio::dynamic_buffer(answer), end);
        CHECK(answer.ends_with("hello"));
    }
}

TEST_CASE("a Unix socket serves the same to its owner and group") {
    TempDir folder;
    const std::string path = (folder.path() / "web.sock").string();
    Running running(path);
    struct stat file {};
    REQUIRE(stat(path.c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0660);
    boost::asio::io_context loop;
    boost::asio::local::stream_protocol::socket client(loop);
    client.connect(boost::asio::local::stream_protocol::endpoint(path));
    boost::asio::write(client, boost::asio::buffer(get("Host: localhost\r\n")));
    std::string answer;
    boost::system::error_code end;
    boost::asio::read(client, boost::asio::dynamic_buffer(answer), end);
    CHECK(answer.ends_with("hello"));
}

TEST_CASE("a port that is taken is told, and taken when it is free") {
    boost::asio::io_context loop;
    auto other =
        std::make_unique<tcp::acceptor>(loop, tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 0));
    WebConfig config;
    config.port = other->local_endpoint().port();
    WebServer server(loop, config, {});
    CHECK(server.listen() ==
          "web.listen 127.0.0.1:" + std::to_string(config.port) + ": Address already in use");
    CHECK(server.port() == 0);
    other.reset();
    CHECK(server.listen().empty());
    CHECK(server.port() == config.port);
    config.address = "192.0.2.55"; // of no interface here
    WebServer far(loop, config, {});
    CHECK(far.listen().find("Cannot assign requested address") != std::string::npos);
}

TEST_CASE("a page is served with headers that keep everything else out") {
    Running running;
    const std::string answer = running.ask(get("Host: localhost\r\n"));
    CHECK(answer.starts_with("HTTP/1.1 200 "));
    CHECK(answer.ends_with("\r\n\r\nhello"));
    CHECK(answer.find("Content-Security-Policy: default-src 'none'") != std::string::npos);
    CHECK(answer.find("X-Content-Type-Options: nosniff") != std::string::npos);
    CHECK(answer.find("Access-Control") == std::string::npos);
}

TEST_CASE("what is not a plain look is refused") {
    Running running;
    CHECK(running.ask(get("Host: evil.example\r\n")).starts_with("HTTP/1.1 421 "));
    CHECK(running.ask(get("")).starts_with("HTTP/1.1 421 "));
    CHECK(running.ask(get("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n")).starts_with("HTTP/1.1 403 "));
    CHECK(
        running.ask(get("Host: localhost\r\nOrigin: https://evil.example\r\n")).starts_with("HTTP/1.1 403 "));
    CHECK(running.ask(get("Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"))
              .starts_with("HTTP/1.1 200 "));
    CHECK(running.ask(get("Host: localhost\r\n", "/etc/passwd")).starts_with("HTTP/1.1 404 "));
    CHECK(running.ask("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
              .starts_with("HTTP/1.1 405 "));
    CHECK(
        running.ask("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ends_with("\r\n\r\n"));
}

TEST_CASE("a request that is too large or no HTTP ends the connection and nothing else") {
    Running running;
    const std::string answer = running.ask(get("X: " + std::string(20'000, 'x') + "\r\n"));
    CHECK((answer.empty() || answer.starts_with("HTTP/1.1 413 ")));
    CHECK(running.ask("\x16\x03\x01 garbage\r\n\r\n").empty());
    CHECK(running.ask(get("Host: localhost\r\n")).starts_with("HTTP/1.1 200 "));
}

TEST_CASE("clients that keep their connections leave room for another") {
    Running running;
    std::vector<tcp::socket> kept;
    for (int i = 0; i < 16; ++i) {
        kept.push_back(running.connect());
        boost::asio::write(kept.back(), boost::asio::buffer("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"s));
        std::string answer;
        boost::asio::read_until(kept.back(), boost::asio::dynamic_buffer(answer), "hello");
        CHECK(answer.starts_with("HTTP/1.1 200 "));
    }
    CHECK(running.ask(get("Host: localhost\r\n")).starts_with("HTTP/1.1 200 "));
}

TEST_CASE(
    "without a descriptor left it waits without spinning, and serves who waited when there is one again") {
    Running server;
    tcp::socket client = server.connect(); // answered before, so that its own descriptor is not the last one
    boost::asio::io_context loop;
    tcp::socket late(loop, tcp::v4());
    rlimit usual{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
    const rlimit none{1, usual.rlim_max}; // no new number is below 1
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    const std::clock_t before = std::clock();
    late.connect(client.remote_endpoint()); // the kernel takes it, the server cannot
    boost::asio::write(late, boost::asio::buffer(get("Host: localhost\r\n")));
    pollfd answer{late.native_handle(), POLLIN, 0};
    const int ready = poll(&answer, 1, 300);
    const std::clock_t used = std::clock() - before;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK(ready == 0);
    CHECK(used < CLOCKS_PER_SEC / 20);
    REQUIRE(poll(&answer, 1, 10'000) == 1);
    std::string text;
    boost::system::error_code end;
    boost::asio::read(late, boost::asio::dynamic_buffer(text), end);
    CHECK(text.find("hello") != std::string::npos);
}
