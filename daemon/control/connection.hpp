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
/// Lives as long as the server; connections hold it weakly, so one that outlives it only closes.
class ControlHost {
public:
    virtual ~ControlHost() = default;
    /// The reply may be ended within the call or at any later time. Does not throw.
    virtual void answer(const ControlRequest& request, const SharedReply& reply) = 0;
    /// How long the next request must wait so that nobody floods the daemon; counts it if zero.
    virtual std::chrono::milliseconds admit() = 0;
    /// Called once, from within close(); the connection may be released but is still alive during the call.
    virtual void on_closed(const ControlConnection& connection) = 0;
};

/// Shared by its pending operations; its server closes it.
///
/// Its states, by what it waits for:
/// - idle: a line; ends by itself after `idle_ms`, counted from the last answer, not from the last byte
/// - asked: its turn (rate limit), then the handler's answer; reads at most one more line meanwhile
/// - stalled: the client to take its answer; cut off after `stalled_ms` without a byte taken, or when more
///    than `max_pending` bytes wait
/// - ended: the client sends no more but may still read; closes when all is written, or at once on a hang-up
class ControlConnection : public std::enable_shared_from_this<ControlConnection> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;
    ControlConnection(Socket socket, std::weak_ptr<ControlHost> host, const ControlLimits& limits);

    /// Once, after construction, when somebody shares it. Asks the kernel who the client is and begins to
    /// read.
    void start();
    /// Drops what is unread and unwritten. May be called at any time and more than once.
    void close();
    [[nodiscard]] bool is_open() const { return socket_.is_open(); }
    [[nodiscard]] bool is_idle() const { return !is_asked_; }
    /// Since when it waits for a line; of meaning only while is_idle().
    [[nodiscard]] std::chrono::steady_clock::time_point idle_since() const { return idle_since_; }

    /// For the reply of the present request. Lines carry no newline.
    void send(const std::string& line);
    /// For the same reply, once, after its last line: the next request may be taken.
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
    // At most one read and one write are pending at a time; each holds the connection.
    bool is_reading_ = false; ///< a read is pending
    bool is_asked_ = false;   ///< a request is being answered, or waits to be admitted
    bool is_ended_ = false;   ///< the client will send no more
    bool is_last_ = false;    ///< close when all is written
    std::chrono::steady_clock::time_point idle_since_;
};

} // namespace things
