// SPDX-License-Identifier: Apache-2.0
#include "support/tcp_device.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

void send_all(int fd, const std::vector<std::uint8_t>& bytes) {
    static_cast<void>(!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

} // namespace

std::uint16_t slow_crc(const std::vector<std::uint8_t>& bytes) {
    unsigned crc = 0xFFFF;
    for (const unsigned byte : bytes) {
        crc ^= byte;
        for (int i = 0; i < 8; ++i)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return static_cast<std::uint16_t>(crc);
}

std::size_t request_size(const std::vector<std::uint8_t>& received, std::size_t at) {
    if (received.size() < at + 7)
        return 0;
    const std::uint8_t function = received[at + 1];
    return function == 15 || function == 16 ? 9U + received[at + 6] : 8U;
}

std::vector<std::uint8_t> faulty_frame(std::vector<std::uint8_t> frame, const UnitFault& fault,
                                       const std::vector<std::uint8_t>& request) {
    const auto seal = [](std::vector<std::uint8_t> body) {
        const std::uint16_t crc = slow_crc(body);
        body.push_back(static_cast<std::uint8_t>(crc % 256));
        body.push_back(static_cast<std::uint8_t>(crc / 256));
        return body;
    };
    using Kind = UnitFault::Kind;
    std::vector<std::uint8_t> body(frame.begin(), frame.end() - 2);
    switch (fault.kind) {
    case Kind::damaged:
        frame[frame.size() / 2] = static_cast<std::uint8_t>(frame[frame.size() / 2] ^ 0x10);
        return frame;
    case Kind::garbage:
        frame.insert(frame.begin(), {0x00, 0xFF, 0x5A, frame[0], 0x00});
        return frame;
    case Kind::echo:
        frame.insert(frame.begin(), request.begin(), request.end());
        return frame;
    case Kind::other_unit:
        ++body[0];
        return seal(body);
    case Kind::other_function:
        body[1] = static_cast<std::uint8_t>(body[1] ^ 7);
        return seal(body);
    case Kind::short_frame:
        frame.resize(frame.size() / 2);
        return frame;
    case Kind::long_count:
        body[2] = static_cast<std::uint8_t>(body[2] + 2);
        return seal(body);
    case Kind::twice:
        frame.insert(frame.end(), frame.begin(), frame.end());
        return frame;
    default:
        return frame;
    }
}

TcpDevice::TcpDevice(bool rtu, int most, std::uint16_t port, bool v6) : rtu_(rtu), most_(most) {
    units.add(1);
    listener_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in old{};
    old.sin_family = AF_INET;
    old.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    old.sin_port = htons(port);
    sockaddr_in6 address{}; // the port is at the same place in both
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(port);
    if (!v6)
        std::memcpy(&address, &old, sizeof old);
    socklen_t size = v6 ? sizeof address : sizeof old;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) < 0 || listen(listener_, 4096) < 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) < 0 ||
        pipe2(wake_, O_CLOEXEC | O_NONBLOCK) < 0)
        throw std::runtime_error("no loopback server");
    port_ = ntohs(address.sin6_port);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (const int fd : {listener_, wake_[0]}) {
        epoll_event event{EPOLLIN, {}};
        event.data.fd = fd;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }
    thread_ = std::thread(&TcpDevice::run, this);
}

TcpDevice::~TcpDevice() {
    stopping_ = true;
    static_cast<void>(!write(wake_[1], "x", 1));
    thread_.join();
    for (const Client& client : clients_)
        close(client.fd);
    for (const int fd : {listener_, wake_[0], wake_[1], epoll_})
        close(fd);
}

void TcpDevice::drop_all() {
    drop_ = true;
    static_cast<void>(!write(wake_[1], "x", 1));
    while (drop_)
        std::this_thread::yield();
}

void TcpDevice::run() {
    while (!stopping_) {
        std::array<epoll_event, 64> events{};
        const int timeout = delayed_.empty() ? -1 : 1;
        const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
        send_due();
        if (drop_) {
            for (const Client& client : clients_)
                close(client.fd);
            clients_.clear();
            delayed_.clear();
            std::array<char, 16> rest{};
            static_cast<void>(!read(wake_[0], rest.data(), rest.size()));
            drop_ = false;
            continue;
        }
        for (int i = 0; i < count; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == listener_) {
                const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
                if (client < 0)
                    continue;
                if (static_cast<int>(clients_.size()) >= most_) {
                    close(client);
                    continue;
                }
                const int on = 1;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                ++accepted_;
                clients_.push_back({client, now_ms()});
                epoll_event event{EPOLLIN, {}};
                event.data.fd = client;
                epoll_ctl(epoll_, EPOLL_CTL_ADD, client, &event);
                continue;
            }
            const auto client =
                std::find_if(clients_.begin(), clients_.end(), [fd](const Client& c) { return c.fd == fd; });
            if (client != clients_.end() && !serve(*client)) {
                std::erase_if(delayed_, [fd](const Delayed& d) { return d.fd == fd; });
                close(fd);
                clients_.erase(client);
            }
        }
    }
}

void TcpDevice::send_due() {
    const std::int64_t now = now_ms();
    for (const Delayed& delayed : delayed_)
        if (delayed.due_ms <= now)
            send_all(delayed.fd, delayed.bytes);
    std::erase_if(delayed_, [now](const Delayed& delayed) { return delayed.due_ms <= now; });
}

bool TcpDevice::serve(Client& client) {
    std::array<std::uint8_t, 4096> chunk{};
    const ssize_t got = recv(client.fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    if (mute_)
        return true;
    if (now_ms() < client.since_ms + wake_up_ms_)
        return false;
    client.received.insert(client.received.end(), chunk.begin(), chunk.begin() + got);
    const std::size_t least = rtu_ ? 8 : 12;
    while (client.received.size() >= least) {
        const std::size_t before = client.received.size();
        if (!serve_one(client))
            return false;
        if (client.received.size() == before)
            break;
    }
    return true;
}

bool TcpDevice::serve_one(Client& client) {
    std::vector<std::uint8_t>& in = client.received;
    const std::size_t head = rtu_ ? 0 : 6;
    const std::size_t size = rtu_ ? request_size(in, 0) : 6U + in[4] * 256U + in[5];
    if (size == 0 || in.size() < size)
        return true;
    const std::uint8_t unit = in[head];
    const std::vector<std::uint8_t> pdu(in.begin() + static_cast<std::ptrdiff_t>(head) + 1,
                                        in.begin() + static_cast<std::ptrdiff_t>(size - (rtu_ ? 2 : 0)));
    const std::vector<std::uint8_t> request(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(size));
    in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(size));
    const auto answer = units.answer(unit, pdu);
    return !answer || reply(client.fd, request, unit, *answer);
}

bool TcpDevice::reply(int fd, const std::vector<std::uint8_t>& request, std::uint8_t unit,
                      const ModbusUnits::Reply& answer) {
    using Kind = UnitFault::Kind;
    std::vector<std::uint8_t> frame;
    if (answer.fault.kind == Kind::silent)
        return true;
    if (answer.fault.kind == Kind::close)
        return false;
    if (rtu_) {
        frame.push_back(unit);
        frame.insert(frame.end(), answer.pdu.begin(), answer.pdu.end());
        const std::uint16_t crc = slow_crc(frame);
        frame.push_back(static_cast<std::uint8_t>(crc % 256));
        frame.push_back(static_cast<std::uint8_t>(crc / 256));
        frame = faulty_frame(frame, answer.fault, request);
    } else {
        const std::size_t length = answer.pdu.size() + 1;
        frame = {request[0],
                 request[1],
                 0,
                 0,
                 static_cast<std::uint8_t>(length / 256),
                 static_cast<std::uint8_t>(length % 256),
                 unit};
        frame.insert(frame.end(), answer.pdu.begin(), answer.pdu.end());
        if (number_) {
            const unsigned number = number_(request[0] * 256U + request[1], ++answers_);
            frame[0] = static_cast<std::uint8_t>(number / 256);
            frame[1] = static_cast<std::uint8_t>(number % 256);
        }
        if (answer.fault.kind == Kind::bad_transaction)
            frame[1] = static_cast<std::uint8_t>(frame[1] + 77);
        if (answer.fault.kind == Kind::bad_length)
            frame[4] = frame[5] = 0;
        if (answer.fault.kind == Kind::other_unit)
            ++frame[6];
        if (answer.fault.kind == Kind::other_function)
            frame[7] = static_cast<std::uint8_t>(frame[7] ^ 7);
        if (answer.fault.kind == Kind::short_frame)
            frame.resize(frame.size() / 2);
        if (answer.fault.kind == Kind::long_count)
            frame[8] = static_cast<std::uint8_t>(frame[8] + 2);
        if (answer.fault.kind == Kind::twice)
            frame.insert(frame.end(), frame.begin(), frame.end());
    }
    if (answer.fault.kind == Kind::split) {
        const std::vector<std::uint8_t> first(frame.begin(), frame.begin() + 5);
        frame.erase(frame.begin(), frame.begin() + 5);
        send_all(fd, first);
        delayed_.push_back({now_ms() + 5, fd, frame});
    } else if (answer.fault.delay.count() > 0) {
        delayed_.push_back({now_ms() + answer.fault.delay.count(), fd, frame});
    } else {
        send_all(fd, frame);
    }
    return answer.fault.kind != Kind::close_after;
}

} // namespace things
