// SPDX-License-Identifier: Apache-2.0
#include "support/rtu_line/rtu_line.hpp"

#include "support/tcp_device.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

namespace things {

namespace {

using std::chrono::nanoseconds;

nanoseconds of_us(double us) {
    return nanoseconds(static_cast<std::int64_t>(us * 1000));
}

timespec until(std::chrono::steady_clock::time_point when) {
    const auto left = std::max(nanoseconds(0), nanoseconds(when - std::chrono::steady_clock::now()));
    return {static_cast<time_t>(left.count() / 1000000000), static_cast<long>(left.count() % 1000000000)};
}

} // namespace

RtuLine::Timing RtuLine::Timing::of(unsigned baud, unsigned bits, double turnaround) {
    const double character = bits * 1e6 / baud;
    return {character, baud > 19200 ? 1750.0 : 3.5 * character, turnaround};
}

RtuLine::RtuLine(Timing timing) : timing_(timing) {
    units.add(1);
    std::string name = "/tmp/rtu-line-XXXXXX";
    if (!mkdtemp(name.data()) || pipe2(wake_, O_CLOEXEC | O_NONBLOCK) < 0)
        throw std::runtime_error("no temporary folder");
    folder_ = name;
    link_ = folder_ + "/port";
    put_back();
}

RtuLine::~RtuLine() {
    pull();
    rmdir(folder_.c_str());
    close(wake_[0]);
    close(wake_[1]);
}

void RtuLine::open_pair() {
    master_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    std::array<char, 128> name{};
    if (master_ < 0 || grantpt(master_) < 0 || unlockpt(master_) < 0 ||
        ptsname_r(master_, name.data(), name.size()) != 0 || symlink(name.data(), link_.c_str()) < 0)
        throw std::runtime_error("no pty");
    slave_ = open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC); // keeps the pair alive between two clients
    termios mode{};
    tcgetattr(slave_, &mode);
    cfmakeraw(&mode);
    tcsetattr(slave_, TCSANOW, &mode);
}

void RtuLine::pull() {
    if (master_ < 0)
        return;
    stop();
    unlink(link_.c_str());
    close(master_);
    close(slave_);
    master_ = slave_ = -1;
}

void RtuLine::put_back() {
    open_pair();
    stopping_ = false;
    thread_ = std::thread(&RtuLine::run, this);
}

void RtuLine::stop() {
    stopping_ = true;
    static_cast<void>(!write(wake_[1], "x", 1));
    thread_.join();
    std::array<char, 16> rest{};
    static_cast<void>(!read(wake_[0], rest.data(), rest.size()));
}

void RtuLine::send_noise(const std::vector<std::uint8_t>& bytes) {
    static_cast<void>(!write(master_, bytes.data(), bytes.size()));
}

void RtuLine::run() {
    // The line must not be later than a real one, whatever else the machine does; without the right to it, it
    // may be.
    prctl(PR_SET_TIMERSLACK, 1000UL);
    static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), -20));
    received_.clear();
    outgoing_.clear();
    wire_free_ = {};
    busy_until_.clear();
    while (!stopping_) {
        std::array<pollfd, 2> fds{{{master_, POLLIN, 0}, {wake_[0], POLLIN, 0}}};
        timespec timeout{1, 0};
        if (!outgoing_.empty())
            timeout = until(outgoing_.front().due);
        if (ppoll(fds.data(), fds.size(), &timeout, nullptr) < 0)
            continue;
        if ((fds[0].revents & POLLIN) != 0) {
            std::array<std::uint8_t, 1024> chunk{};
            const ssize_t got = read(master_, chunk.data(), chunk.size());
            if (got > 0) {
                received_.insert(received_.end(), chunk.begin(), chunk.begin() + got);
                serve(Clock::now());
            }
        }
        send_due();
    }
}

void RtuLine::serve(Clock::time_point arrived) {
    for (;;) {
        const std::size_t size = request_size(received_, 0);
        if (size == 0 || received_.size() < size)
            return;
        const std::vector<std::uint8_t> frame(received_.begin(),
                                              received_.begin() + static_cast<std::ptrdiff_t>(size));
        received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(size));
        if (arrived < quiet_since_ + of_us(timing_.silence_us) - std::chrono::microseconds(50))
            ++violations_;
        const Clock::time_point end = arrived + of_us(timing_.character_us * static_cast<double>(size));
        const std::uint16_t crc = slow_crc({frame.begin(), frame.end() - 2});
        if (frame[size - 2] != crc % 256 || frame[size - 1] != crc / 256) {
            received_.clear();
            return;
        }
        const auto answer = units.answer(frame[0], {frame.begin() + 1, frame.end() - 2});
        if (!answer || answer->fault.kind == UnitFault::Kind::silent)
            continue;
        std::vector<std::uint8_t> bytes{frame[0]};
        bytes.insert(bytes.end(), answer->pdu.begin(), answer->pdu.end());
        const std::uint16_t sum = slow_crc(bytes);
        bytes.push_back(static_cast<std::uint8_t>(sum % 256));
        bytes.push_back(static_cast<std::uint8_t>(sum / 256));
        bytes = faulty_frame(bytes, answer->fault, frame);
        // A unit does one thing after the other: what it was asked meanwhile waits.
        Clock::time_point& busy = busy_until_[frame[0]];
        Clock::time_point at = std::max(end + of_us(timing_.silence_us + timing_.turnaround_us), busy);
        at += answer->fault.delay;
        busy = at;
        at = std::max(at, wire_free_);
        if (timing_.character_us == 0) {
            outgoing_.push_back({at, bytes});
        } else {
            for (const std::uint8_t byte : bytes)
                outgoing_.push_back({at += of_us(timing_.character_us), {byte}});
            busy = at;
            if (answer->fault.delay.count() == 0)
                wire_free_ = at;
        }
        std::stable_sort(outgoing_.begin(), outgoing_.end(),
                         [](const Outgoing& a, const Outgoing& b) { return a.due < b.due; });
    }
}

void RtuLine::send_due() {
    const Clock::time_point now = Clock::now();
    std::vector<std::uint8_t> bytes;
    auto end = outgoing_.begin();
    for (; end != outgoing_.end() && end->due <= now; ++end) {
        bytes.insert(bytes.end(), end->bytes.begin(), end->bytes.end());
        quiet_since_ = std::max(quiet_since_, end->due);
    }
    outgoing_.erase(outgoing_.begin(), end);
    if (!bytes.empty())
        static_cast<void>(!write(master_, bytes.data(), bytes.size()));
}

} // namespace things
