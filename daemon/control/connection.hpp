// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/request.hpp"
#include "control/server.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

// One client of the control socket: reads lines, answers them one after the other. Loop only. Bounded by
// construction: one line in memory, one answer under way, an end to every wait.
namespace things {

class ControlConnection;

/// What a connection asks of its server.
class ControlHost {
public:
    virtual ~ControlHost() = default;
    virtual void answer(const ControlRequest& request, std::shared_ptr<ControlReply> reply) = 0;
    /// How long the next request must wait so that nobody floods the daemon; counts it if zero.
    virtual std::chrono::milliseconds admit() = 0;
    virtual void on_closed(const ControlConnection& connection) = 0;
};

/// Shared by its pending operations; its server closes it.
class ControlConnection : public std::enable_shared_from_this<ControlConnection> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;
    ControlConnection(Socket socket, std::weak_ptr<ControlHost> host, const ControlLimits& limits);

    void start();
    void close();
    [[nodiscard]] bool is_open() const { return socket_.is_open(); }
    [[nodiscard]] bool is_idle() const { return !is_asked_; }
    [[nodiscard]] std::chrono::steady_clock::time_point idle_since() const { return idle_since_; }

    /// For the reply of the present request. Lines carry no newline.
    void send(const std::string& line);
    void on_answered();

private:
    void read();
    void on_read(std::size_t count, bool is_end);
    void take_line();
    void handle(const std::string& line);
    void on_idle();
    void wait_for_hang_up();
    void write();
    void on_written(std::size_t count, bool has_failed);
    void arm_stall();

    Socket socket_;
    std::weak_ptr<ControlHost> host_;
    ControlLimits limits_;
    boost::asio::steady_timer idle_, stall_;
    std::array<char, 4096> chunk_{};
    std::string in_, out_, writing_;
    std::int64_t uid_ = -1, pid_ = -1;
    bool is_reading_ = false; ///< a read is pending
    bool is_asked_ = false;   ///< a request is being answered, or waits to be admitted
    bool is_ended_ = false;   ///< the client will send no more
    bool is_last_ = false;    ///< close when all is written
    std::chrono::steady_clock::time_point idle_since_;
};

} // namespace things
