// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/request.hpp"
#include "control/server.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

// One client of the control socket: reads requests, answers them one after the other. Loop only. Bounded by
// construction: one request in memory, one answer under way, an end to every wait.
namespace things {

class ControlConnection;

/// What a connection asks of its server.
/// Lives as long as the server; connections hold it weakly, so one that outlives it only closes.
class ControlHost {
public:
    virtual ~ControlHost() = default;
    [[nodiscard]] virtual bool has(const std::string& verb) const = 0;
    /// For a verb that it has. The reply may be ended within the call or at any later time. Does not throw.
    virtual void answer(const ControlRequest& request, const SharedReply& reply) = 0;
    /// How long the next request must wait so that nobody floods the daemon; counts it if zero.
    virtual std::chrono::milliseconds admit() = 0;
    /// Called once, from within close(); the connection may be released but is still alive during the call.
    virtual void on_closed(const ControlConnection& connection) = 0;
};

/// Shared by its pending operations; its server closes it.
///
/// States:
/// - idle: waiting for a request; ends by itself after `idle_ms`, counted from the last answer, not from the
///    last byte
/// - asked: waiting for its turn (rate limit), then for the handler's answer
/// - stalled: waiting for the client to take its answer; cut off after `stalled_ms` without a byte taken, or
/// when more
///    than `max_pending` bytes wait
class ControlConnection : public std::enable_shared_from_this<ControlConnection> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;
    /// `is_turned_away`: there are too many; its first request is answered with that.
    ControlConnection(Socket socket, std::weak_ptr<ControlHost> host, const ControlLimits& limits,
                      bool is_turned_away);

    /// Once, after construction, when somebody shares it. Asks the kernel who the client is and begins to
    /// read.
    void start();
    /// Drops what is unread and unwritten. May be called at any time and more than once.
    void close();
    [[nodiscard]] bool is_open() const { return socket_.is_open(); }
    [[nodiscard]] bool is_idle() const { return !is_asked_ && writing_.empty(); }
    /// Since when it waits for a request; valid only while is_idle().
    [[nodiscard]] std::chrono::steady_clock::time_point idle_since() const { return idle_since_; }

    // For the reply of the present request; lines carry no newline.
    void send_progress(const std::string& line);
    /// Once, the last: afterwards the next request may be taken.
    void send_end(unsigned status, const std::string& line);

private:
    void on_idle();
    void arm_idle();
    void on_request(boost::system::error_code error);
    void handle();
    void refuse(unsigned status, const std::string& reason);
    void send(const std::string& bytes);
    void wait_for_hang_up();
    void write();
    void on_written(std::size_t count, bool has_failed);
    void arm_stall();

    Socket socket_;
    std::weak_ptr<ControlHost> host_;
    ControlLimits limits_;
    boost::asio::steady_timer idle_, stall_;
    boost::beast::flat_buffer in_;
    std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
    boost::beast::http::request<boost::beast::http::string_body> request_;
    std::string out_, writing_;
    std::int64_t uid_ = -1, pid_ = -1;
    // At most one read and one write are pending at a time; each holds the connection.
    const bool is_turned_away_;
    bool is_asked_ = false;   ///< a request is being answered, or waits to be admitted
    bool is_chunked_ = false; ///< the answer has begun, with progress
    bool is_last_ = false;    ///< close when all is written
    bool is_watched_ = false; ///< a hang-up is waited for
    std::chrono::steady_clock::time_point idle_since_;
};

} // namespace things
