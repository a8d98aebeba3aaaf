// SPDX-License-Identifier: Apache-2.0
#include "platform/notify.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

/// A service manager that listens, and reads only when asked to.
class Manager {
public:
    Manager() : path_((directory_.path() / "notify").string()) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
        REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    }
    ~Manager() {
        unsetenv("NOTIFY_SOCKET");
        close(fd_);
    }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    std::string read() {
        char text[256];
        const ssize_t n = recv(fd_, text, sizeof text, 0);
        return {text, n > 0 ? static_cast<std::size_t>(n) : 0};
    }

private:
    things::TempDir directory_;
    std::string path_;
    int fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

} // namespace

TEST_CASE("the service manager is told") {
    Manager manager;
    things::notify::ready();
    CHECK(manager.read() == "READY=1");
    things::notify::status("2 devices");
    CHECK(manager.read() == "STATUS=2 devices");
}

TEST_CASE("a service manager that does not read its socket stops nobody") {
    Manager manager;
    for (int i = 0; i < 100'000; ++i) // far more than a socket holds
        things::notify::watchdog();
    CHECK(manager.read() == "WATCHDOG=1");
}

TEST_CASE("without a service manager nothing is sent") {
    unsetenv("NOTIFY_SOCKET");
    things::notify::ready();
    CHECK(things::notify::watchdog_ms() == 0);
}
