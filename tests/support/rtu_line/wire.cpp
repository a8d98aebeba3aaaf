// SPDX-License-Identifier: Apache-2.0
#include "support/rtu_line/wire.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

namespace things {

Wire::Wire(double character_us) : character_(static_cast<std::int64_t>(character_us * 1000)) {
    open(near_);
    open(far_);
    thread_ = std::thread(&Wire::run, this);
}

Wire::~Wire() {
    stopping_ = true;
    thread_.join();
    for (const int fd : {near_.master, near_.slave, far_.master, far_.slave})
        close(fd);
}

void Wire::open(End& end) {
    end.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    std::array<char, 128> name{};
    if (end.master < 0 || grantpt(end.master) < 0 || unlockpt(end.master) < 0 ||
        ptsname_r(end.master, name.data(), name.size()) != 0)
        throw std::runtime_error("no pty");
    end.path = name.data();
    end.slave = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC); // keeps the pair alive without a client
    termios mode{};
    tcgetattr(end.slave, &mode);
    cfmakeraw(&mode);
    tcsetattr(end.slave, TCSANOW, &mode);
}

void Wire::run() {
    prctl(PR_SET_TIMERSLACK, 1000UL);
    while (!stopping_) {
        Clock::time_point next = Clock::now() + std::chrono::milliseconds(20);
        for (const End* end : {&near_, &far_})
            if (!end->coming.empty())
                next = std::min(next, end->coming.front().due);
        const auto left =
            std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(next - Clock::now()));
        const timespec timeout{0, static_cast<long>(left.count())};
        std::array<pollfd, 2> fds{{{near_.master, POLLIN, 0}, {far_.master, POLLIN, 0}}};
        if (ppoll(fds.data(), fds.size(), &timeout, nullptr) < 0)
            continue;
        if ((fds[0].revents & POLLIN) != 0)
            take(near_, far_);
        if ((fds[1].revents & POLLIN) != 0)
            take(far_, near_);
        const Clock::time_point now = Clock::now();
        if (give(far_, now)) {
            asked_ = now;
            is_waiting_ = true;
        }
        give(near_, now);
    }
}

void Wire::take(End& from, End& to) {
    std::array<std::uint8_t, 512> chunk{};
    const ssize_t got = read(from.master, chunk.data(), chunk.size());
    const Clock::time_point now = Clock::now();
    if (got > 0 && &from == &far_ && is_waiting_) {
        is_waiting_ = false;
        turnaround_us_ = turnaround_us_ + std::chrono::duration<double, std::micro>(now - asked_).count();
        ++turns_;
    }
    for (ssize_t i = 0; i < got; ++i) {
        to.free = std::max(to.free, now) + character_;
        to.coming.push_back({to.free, chunk[static_cast<std::size_t>(i)]});
    }
}

bool Wire::give(End& end, Clock::time_point now) {
    bool any = false;
    for (; !end.coming.empty() && end.coming.front().due <= now; end.coming.pop_front())
        any = write(end.master, &end.coming.front().value, 1) == 1 || any;
    return any;
}

} // namespace things
