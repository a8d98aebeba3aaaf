// SPDX-License-Identifier: Apache-2.0
#include "modbus/modbus_bus.hpp"
#include "support/fake_plugin_host.hpp"
#include "support/full_server.hpp"
#include "support/rtu_line/rtu_line.hpp"
#include "support/skip.hpp"
#include "support/tcp_device.hpp"

#include <doctest/doctest.h>

#include <asm/ioctls.h>
#include <asm/termbits.h> // termios2; excludes termios.h
#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

// What the ports of a source are told: speed, frame, direction; and where hosts are found. No driver of a
// test machine can switch an RS-485 port: the test answers those two calls for it, and passes all others on.
namespace {

bool can_switch = false;
std::vector<unsigned> modes; // that a port was put in

} // namespace

// The real one takes a list of arguments of which at most one is looked at.
extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
    std::va_list list;
    va_start(list, request);
    void* argument = va_arg(list, void*);
    va_end(list);
    if (can_switch && (request == TIOCGRS485 || request == TIOCSRS485)) {
        if (request == TIOCSRS485)
            modes.push_back(static_cast<serial_rs485*>(argument)->flags);
        else
            *static_cast<serial_rs485*>(argument) = {};
        return 0;
    }
    using Real = int (*)(int, unsigned long, void*);
    static const auto real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "ioctl"));
    return real(fd, request, argument);
}

// A name server that never answers, so that the look-up goes on for ever; else one that knows plc.test, which
// depends on no file and no server of the machine.
namespace {
bool is_name_server_silent = false;

template <class Function>
Function* real(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

const char* known(const char* name) {
    return name != nullptr && std::string_view(name) == "plc.test" ? "127.0.0.1" : name;
}
} // namespace

extern "C" int getaddrinfo_a(int mode, gaicb** list, int count, sigevent* event) {
    if (is_name_server_silent)
        return 0;
    list[0]->ar_name = known(list[0]->ar_name);
    return real<decltype(getaddrinfo_a)>("getaddrinfo_a")(mode, list, count, event);
}
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** result) {
    const bool is_number = hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0;
    return real<decltype(getaddrinfo)>("getaddrinfo")(is_number ? name : known(name), service, hints, result);
}
extern "C" int gai_error(gaicb* request) noexcept {
    return is_name_server_silent ? EAI_INPROGRESS : real<decltype(gai_error)>("gai_error")(request);
}
extern "C" int gai_cancel(gaicb* request) noexcept {
    return is_name_server_silent ? EAI_CANCELED : real<decltype(gai_cancel)>("gai_cancel")(request);
}
extern "C" int gai_suspend(const gaicb* const list[], int count, const timespec* timeout) {
    if (!is_name_server_silent)
        return real<decltype(gai_suspend)>("gai_suspend")(list, count, timeout);
    return nanosleep(timeout, nullptr) == 0 ? EAI_AGAIN : EAI_INTR;
}

using namespace things;

namespace {

FakeConfig config_for(const RtuLine& line) {
    FakeConfig config;
    config.source.set("port", line.path()).set("timeout", 300);
    config.devices.push_back({"meter", FakeSettings().set("gap", 0)});
    config.points.push_back({0, "v", FakeSettings().set("holding", 0)});
    return config;
}

struct termios2 mode_of(const RtuLine& line) {
    struct termios2 mode {};
    const int fd = open(line.path().c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(ioctl(fd, TCGETS2, &mode) == 0);
    close(fd);
    return mode;
}

bool has_ipv6() {
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    const bool has = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    return has;
}

} // namespace

TEST_CASE("any speed and any frame") {
    struct Case {
        int baud;
        const char* parity;
        int data_bits, stop_bits;
        tcflag_t flags; // that a pty keeps: it has no parity, and eight bits always
    };
    for (const Case& it : {Case{1200, "none", 8, 2, CSTOPB}, Case{9600, "even", 8, 1, 0},
                           Case{19200, "odd", 7, 1, PARODD}, Case{4000000, "none", 8, 1, 0},
                           Case{31250, "none", 8, 1, 0}, Case{76923, "odd", 8, 2, PARODD | CSTOPB}}) {
        CAPTURE(it.baud);
        RtuLine line;
        FakeConfig config = config_for(line);
        config.source.set("baud", it.baud)
            .set("parity", it.parity)
            .set("data_bits", it.data_bits)
            .set("stop_bits", it.stop_bits);
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, config);
        REQUIRE(source.poll_all() == THINGS_OK);
        const struct termios2 mode = mode_of(line);
        CHECK(mode.c_ospeed == static_cast<speed_t>(it.baud));
        CHECK(mode.c_ispeed == static_cast<speed_t>(it.baud));
        CHECK((mode.c_cflag & (CSTOPB | PARODD)) == it.flags);
        CHECK((mode.c_lflag & (ICANON | ECHO | ISIG)) == 0);
        CHECK((mode.c_iflag & (IXON | IXOFF | ICRNL | ISTRIP)) == 0);
    }
}

TEST_CASE("RS-485 mode is the kernel's, and a port that has none says so in plain words") {
    RtuLine line;
    FakeConfig config = config_for(line);
    config.source.set("rs485", true);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    SUBCASE("the driver has it") {
        modes.clear();
        can_switch = true;
        CHECK(source.poll_all() == THINGS_OK);
        can_switch = false;
        REQUIRE(modes.size() == 1);
        CHECK((modes[0] & SER_RS485_ENABLED) != 0);
        CHECK(host.last(0) == FakePluginHost::Value(std::int64_t{0}));
    }
    SUBCASE("it has not") {
        CHECK(source.poll_all() == THINGS_FAILED);
        REQUIRE(host.has_event(THINGS_PROBLEM, "port_mode"));
        CHECK(host.event("port_mode").text ==
              line.path() +
                  " has no RS-485 mode in its driver (Inappropriate ioctl for device). Take `rs485` "
                  "away: USB adapters switch direction by themselves.");
    }
}

TEST_CASE("a link like those in /dev/serial/by-id leads to whatever port the adapter has now") {
    RtuLine first, second;
    second.units.set(1, 'h', 0, {2});
    const std::string link = first.path() + ".by-id";
    REQUIRE(symlink(first.path().c_str(), link.c_str()) == 0);
    FakeConfig config = config_for(first);
    config.source = FakeSettings().set("port", link).set("timeout", 300);
    FakePluginHost host;
    FakeSource source(*things_plugin_entry(), host, config);
    CHECK(source.poll_all() == THINGS_OK);
    CHECK(host.last(0) == FakePluginHost::Value(std::int64_t{0}));
    first.pull();
    unlink(link.c_str());
    REQUIRE(symlink(second.path().c_str(), link.c_str()) == 0);
    CHECK(source.poll_all() == THINGS_OK); // opened again within the call
    CHECK(host.last(0) == FakePluginHost::Value(std::int64_t{2}));
    unlink(link.c_str());
}

TEST_CASE("a command ends the waiting for a connection, and may try again at once") {
    FullServer server;
    LinkSettings settings;
    settings.serial = false;
    settings.host = "127.0.0.1";
    settings.tcp_port = server.port();
    settings.connect_timeout = std::chrono::seconds(20);
    FakePluginHost fake;
    const PluginHost host(fake.table());
    fake.interrupt = true; // a command waits
    ModbusBus bus(settings, &host);
    const auto trouble = bus.open();
    REQUIRE(trouble.has_value());
    CHECK(trouble->is_interruption);
    fake.interrupt = false; // it has its turn now
    server.accept_one();
    CHECK_FALSE(bus.open().has_value());
}

#ifndef __SANITIZE_THREAD__ // where names are looked up in the calling thread
TEST_CASE("a command ends the waiting for a name server that does not answer") {
    FakePluginHost fake;
    const PluginHost host(fake.table());
    fake.interrupt = true;
    TcpConnector connector;
    is_name_server_silent = true;
    const auto begin = std::chrono::steady_clock::now();
    const OpenedLink opened =
        connector.connect("plc.example", 502, {begin + std::chrono::seconds(20), &host});
    is_name_server_silent = false;
    CHECK_FALSE(opened.stream);
    CHECK(opened.trouble.is_interruption);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}
#endif

TEST_CASE("hosts have addresses of both kinds") {
    for (const char* name : {"::1", "127.0.0.1", "plc.test"}) {
        CAPTURE(std::string(name));
        if (std::string(name) == "::1" && !has_ipv6()) {
            test::skipped("this machine has no ::1");
            continue;
        }
        TcpDevice device(false, 4, 0, std::string(name) == "::1");
        FakeConfig config;
        config.source.set("host", name).set("tcp_port", device.port()).set("timeout", 300);
        config.devices.push_back({"plc", FakeSettings().set("gap", 0)});
        config.points.push_back({0, "v", FakeSettings().set("holding", 0)});
        FakePluginHost host;
        FakeSource source(*things_plugin_entry(), host, config);
        CHECK(source.poll_all() == THINGS_OK);
    }
}
