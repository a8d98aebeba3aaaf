// SPDX-License-Identifier: Apache-2.0
#include "status/web_server.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/resource.h>

using namespace things;
using namespace std::string_literals;
using boost::asio::ip::tcp;

namespace {

/// A server with one page on a loop of its own thread, for blocking clients.
class Running {
public:
    Running()
        : server_(loop_, config(), {{"/", [] {
                                         return WebAnswer{200, "text/html", "hello"};
                                     }}}) {
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Running() {
        loop_.stop();
        thread_.join();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    tcp::socket connect() {
        tcp::socket socket(client_loop_);
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
    static WebConfig config() {
        WebConfig config;
        config.port = 0;
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

TEST_CASE("a Host header may be an address, localhost or the machine's own name") {
    for (const char* host : {"127.0.0.1:8480", "[::1]:8480", "[::1]", "192.0.2.7", "localhost",
                             "LOCALHOST:8480", "gw-7", "gw-7:8480", "gw-7.local"})
        CHECK_MESSAGE(is_host_allowed(host, "gw-7"), host);
    for (const char* host : {"", "evil.example", "localhost.evil.example", "gw-7.evil.example", "gw-77",
                             "127.0.0.1.evil.example", "[::1", "gw"})
        CHECK_FALSE_MESSAGE(is_host_allowed(host, "gw-7"), host);
    CHECK_FALSE(is_host_allowed("", ""));
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
