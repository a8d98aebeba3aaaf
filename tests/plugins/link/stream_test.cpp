// SPDX-License-Identifier: Apache-2.0
#include "link/serial_port.hpp"
#include "link/stream.hpp"
#include "link/tcp_socket.hpp"

#include "plugins/link/pty.hpp"

#include "support/full_server.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <thread>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace things;

namespace {

Patience within(int ms) {
    return {std::chrono::steady_clock::now() + std::chrono::milliseconds(ms), nullptr};
}

std::string read_text(Stream& stream, LinkResult& result, int ms = 2000) {
    std::array<std::uint8_t, 64> bytes{};
    result = stream.read(bytes, within(ms));
    return {reinterpret_cast<const char*>(bytes.data()), result.count};
}

std::span<const std::uint8_t> span_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

} // namespace

TEST_CASE("parity marks come apart wherever the pieces are cut") {
    const std::uint8_t marked[] = {'a', 0xff, 0xff, 'b', 0xff, 0x00, 'x', 'c', 0xff, 0x00, 0x00, 'd'};
    for (std::size_t cut = 1; cut <= sizeof marked; ++cut) {
        CAPTURE(cut);
        ParityMarks marks;
        std::string seen;
        for (std::size_t at = 0; at < sizeof marked;) {
            std::uint8_t out[16];
            std::size_t written = 0;
            bool damaged = false;
            std::size_t size = std::min(cut, sizeof marked - at);
            at += marks.take({marked + at, size}, out, written, damaged);
            seen.append(reinterpret_cast<char*>(out), written);
            seen += damaged ? "?" : "";
        }
        CHECK(seen == "a\xff"
                      "b?c?d");
    }
}

TEST_CASE("a serial port is opened raw, without flow control, exclusively, and not hung up on close") {
    Pty pty;
    OpenedLink opened = open_serial(pty.path(), *with_frame({9600}, "7E1"));
    REQUIRE_MESSAGE(opened.stream, opened.trouble.text);
    termios options = pty.settings();
    CHECK((options.c_cflag & (CRTSCTS | HUPCL)) == 0);
    CHECK((options.c_iflag & (IXON | IXOFF | ICRNL | ISTRIP)) == 0);
    CHECK((options.c_lflag & (ICANON | ECHO)) == 0);
    CHECK((options.c_iflag & (INPCK | PARMRK)) == (INPCK | PARMRK));
    CHECK(cfgetospeed(&options) == B9600);
    SUBCASE("a second one is told who has it") {
        OpenedLink second = open_serial(pty.path(), {});
        CHECK_FALSE(second.stream);
        CHECK(second.trouble.text.find("in use") != std::string::npos);
    }
    SUBCASE("it is opened again as it is") {
        opened.stream.reset();
        OpenedLink again = open_serial(pty.path(), *with_frame({9600}, "7E1"));
        CHECK_MESSAGE(again.stream, again.trouble.text);
    }
    SUBCASE("with parity on, a byte FF arrives as one") {
        pty.send("a\xff"
                 "b");
        std::string all;
        LinkResult result;
        while (all.size() < 3) {
            all += read_text(*opened.stream, result);
            REQUIRE(result.outcome == LinkOutcome::done);
        }
        CHECK(all == "a\xff"
                     "b");
    }
    SUBCASE("nothing comes: the deadline holds") {
        LinkResult result;
        read_text(*opened.stream, result, 30);
        CHECK(result.outcome == LinkOutcome::timeout);
    }
    SUBCASE("it is unplugged") {
        pty.hang_up();
        LinkResult result;
        read_text(*opened.stream, result);
        CHECK(result.outcome == LinkOutcome::closed);
    }
    SUBCASE("the line changes while it is open") {
        CHECK(change_line(*opened.stream, {115200}).empty());
        termios changed = pty.settings();
        CHECK(cfgetospeed(&changed) == B115200);
        CHECK((changed.c_iflag & PARMRK) == 0);
        CHECK(change_line(*opened.stream, {12345}).empty()); // a speed without a name
    }
}

TEST_CASE("what cannot be opened says what to do") {
    CHECK(open_serial("/nonexistent/ttyUSB0", {}).trouble.text.find("plugged in") != std::string::npos);
    CHECK(open_serial("/dev/null", {}).trouble.text.find("not a serial port") != std::string::npos);
}

TEST_CASE("frames are written as 8N1") {
    CHECK(to_text(*with_frame({9600}, "7E1")) == "9600 7E1");
    CHECK(to_text(*with_frame({2400}, "8o2")) == "2400 8O2");
    for (const char* bad : {"", "8N", "9N1", "8X1", "8N3", "8N1 "})
        CHECK_FALSE(with_frame({}, bad));
}

TEST_CASE("a socket reads, writes and notices the end") {
    int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    std::uint16_t port = ntohs(address.sin_port);
    TcpConnector connector;
    OpenedLink opened = connector.connect("127.0.0.1", port, within(2000));
    REQUIRE_MESSAGE(opened.stream, opened.trouble.text);
    int peer = ::accept(listener, nullptr, nullptr);
    const timeval patience{5, 0}; // of read
    ::setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CHECK(opened.stream->write(span_of("hello"), within(1000)).outcome == LinkOutcome::done);
    char bytes[8] = {};
    CHECK(::read(peer, bytes, sizeof bytes) == 5);
    CHECK(::write(peer, "abc", 3) == 3);
    LinkResult result;
    CHECK(read_text(*opened.stream, result) == "abc");
    ::close(peer);
    read_text(*opened.stream, result);
    CHECK(result.outcome == LinkOutcome::closed);
    ::close(listener);
    CHECK(connector.connect("127.0.0.1", port, within(2000)).trouble.text.find("nothing listens") !=
          std::string::npos);
}

TEST_CASE("an address that swallows everything leaves time for the next one") {
    FullServer dead, living;
    living.accept_one();
    sockaddr_in addresses[] = {dead.address(), living.address()};
    addrinfo entries[2] = {};
    for (int i = 0; i < 2; ++i) {
        entries[i].ai_family = AF_INET;
        entries[i].ai_addr = reinterpret_cast<sockaddr*>(&addresses[i]);
        entries[i].ai_addrlen = sizeof addresses[i];
    }
    entries[0].ai_next = &entries[1];
    const Patience patience{std::chrono::steady_clock::now() + std::chrono::seconds(1), nullptr};
    const OpenedLink opened = connect_to_any(entries, "meter:2001", patience);
    CHECK_MESSAGE(opened.stream, opened.trouble.text);
}
