// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support/modbus_units.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

// A Modbus TCP server on the loopback (port chosen by the system) in a thread of the test, one for any number
// of connections, with faults. Stops when it is destroyed.
namespace things {

class TcpDevice {
public:
    /// With RTU frames on the connection if `rtu`; `most` connections at a time, further ones are refused.
    explicit TcpDevice(bool rtu = false, int most = 4096, std::uint16_t port = 0, bool v6 = false);
    ~TcpDevice();
    TcpDevice(const TcpDevice&) = delete;
    TcpDevice& operator=(const TcpDevice&) = delete;

    ModbusUnits units; ///< unit 1 is there from the start
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] int accepted() const { return accepted_; }
    /// Takes what comes and never says a word, as a half-open connection does.
    void mute(bool on) { mute_ = on; }
    /// Says nothing, and closes, to what is asked sooner than this after connecting.
    void wake_up_in(std::chrono::milliseconds span) { wake_up_ms_ = span.count(); }
    /// TCP: the number of an answer, from that of its request and how manieth it is.
    void number(std::function<unsigned(unsigned, unsigned)> by) { number_ = std::move(by); }
    /// Closes all connections.
    void drop_all();

private:
    struct Client {
        int fd = -1;
        std::int64_t since_ms = 0;
        std::vector<std::uint8_t> received{};
    };
    struct Delayed {
        std::int64_t due_ms = 0;
        int fd = -1;
        std::vector<std::uint8_t> bytes{};
    };
    void run();
    bool serve(Client& client);
    bool serve_one(Client& client);
    bool reply(int fd, const std::vector<std::uint8_t>& head, std::uint8_t unit,
               const ModbusUnits::Reply& reply);
    void send_due();

    bool rtu_;
    int most_;
    int listener_ = -1, wake_[2] = {-1, -1};
    int port_ = 0;
    int epoll_ = -1;
    std::atomic<int> accepted_{0};
    std::atomic<std::int64_t> wake_up_ms_{0};
    std::function<unsigned(unsigned, unsigned)> number_; ///< set before anything is asked
    unsigned answers_ = 0;
    std::atomic<bool> stopping_{false}, mute_{false}, drop_{false};
    std::vector<Client> clients_;
    std::vector<Delayed> delayed_;
    std::thread thread_;
};

/// CRC of RTU frames, bit by bit.
std::uint16_t slow_crc(const std::vector<std::uint8_t>& bytes);
/// Bytes of the request that begins here; 0: not yet known.
std::size_t request_size(const std::vector<std::uint8_t>& received, std::size_t at);
/// Plays the fault on an RTU answer.
std::vector<std::uint8_t> faulty_frame(std::vector<std::uint8_t> frame, const UnitFault& fault,
                                       const std::vector<std::uint8_t>& request);

} // namespace things
