// SPDX-License-Identifier: Apache-2.0
#include "control/connection.hpp"

#include "platform/json.hpp"
#include "platform/log.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>

#include <fmt/format.h>

#include <utility>

#include <sys/socket.h>

namespace things {

namespace http = boost::beast::http;

namespace {

constexpr int exit_usage = 64, exit_unavailable = 69;
constexpr std::uint32_t most_header_bytes = 8 * 1024;

std::string failure(int exit_code, const std::string& text) {
    return fmt::format("{{\"done\":true,\"ok\":false,\"exit\":{},\"error\":{}}}", exit_code,
                       json_string(text));
}

/// The reply to one request. Whoever drops the last reference without an end has forgotten to answer.
class Reply final : public ControlReply {
public:
    explicit Reply(std::weak_ptr<ControlConnection> connection) : connection_(std::move(connection)) {}
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;
    ~Reply() override {
        if (is_open())
            fail(1, "the request was dropped without an answer");
    }

    void progress(const std::string& json) override {
        if (const auto connection = open())
            connection->send_progress("{\"progress\":" + json + "}");
    }
    void finish(const std::string& json) override {
        end(200, "{\"done\":true,\"ok\":true,\"result\":" + json + "}");
    }
    void fail(int exit_code, const std::string& text) override {
        end(exit_code == exit_usage         ? 400
            : exit_code == exit_unavailable ? 503
                                            : 500,
            failure(exit_code, text));
    }
    [[nodiscard]] bool is_open() const override { return open() != nullptr; }

private:
    [[nodiscard]] std::shared_ptr<ControlConnection> open() const {
        auto connection = is_done_ ? nullptr : connection_.lock();
        return connection && connection->is_open() ? connection : nullptr;
    }
    void end(unsigned status, const std::string& line) {
        const auto connection = open();
        is_done_ = true;
        if (connection)
            connection->send_end(status, line);
    }
    std::weak_ptr<ControlConnection> connection_;
    bool is_done_ = false;
};

} // namespace

ControlConnection::ControlConnection(Socket socket, std::weak_ptr<ControlHost> host,
                                     const ControlLimits& limits, bool is_turned_away)
    : socket_(std::move(socket)), host_(std::move(host)), limits_(limits), idle_(socket_.get_executor()),
      stall_(socket_.get_executor()), is_turned_away_(is_turned_away) {}

void ControlConnection::start() {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
        uid_ = peer.uid;
        pid_ = peer.pid;
    }
    log::debug("control: process {} of user {} connected", pid_, uid_);
    on_idle();
}

/// Waits for a whole request, from now; a client that sends a byte now and then gains nothing.
void ControlConnection::on_idle() {
    idle_since_ = std::chrono::steady_clock::now();
    arm_idle();
    parser_.emplace();
    parser_->header_limit(most_header_bytes);
    parser_->body_limit(control_max_body);
    http::async_read(socket_, in_, *parser_,
                     [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                         self->on_request(error);
                     });
}

void ControlConnection::arm_idle() {
    idle_.expires_after(std::chrono::milliseconds(limits_.idle_ms));
    idle_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        if (error || self->is_asked_)
            return;
        // One that is still taking its answer is held to `stalled_ms`.
        if (self->is_idle())
            self->close();
        else
            self->arm_idle();
    });
}

void ControlConnection::on_request(boost::system::error_code error) {
    if (!socket_.is_open())
        return;
    if (error == http::error::header_limit || error == http::error::body_limit)
        return refuse(413, "the request is too large");
    if (error == http::error::end_of_stream || error == http::error::partial_message) {
        // The client sends no more; it may still be reading.
        is_last_ = true;
        return writing_.empty() ? close() : void();
    }
    if (error)
        return error.category() == http::make_error_code(http::error::bad_method).category()
                   ? refuse(400, "this is not an HTTP request: " + error.message())
                   : close();
    idle_.cancel();
    is_asked_ = true;
    request_ = parser_->release();
    wait_for_hang_up();
    if (is_turned_away_) {
        is_last_ = true;
        return send_end(503, failure(exit_unavailable, "too many clients"));
    }
    handle();
}

/// What follows such a request may be a part of it.
void ControlConnection::refuse(unsigned status, const std::string& reason) {
    is_asked_ = is_last_ = true;
    request_ = {};
    send_end(status, failure(exit_usage, reason));
}

/// A client that only shut down its sending half still wants its answer; one that is gone does not.
void ControlConnection::wait_for_hang_up() {
    if (std::exchange(is_watched_, true))
        return;
    socket_.async_wait(Socket::wait_error, [self = shared_from_this()](boost::system::error_code error) {
        if (!error)
            self->close();
    });
}

void ControlConnection::handle() {
    const auto host = host_.lock();
    if (!host || !socket_.is_open())
        return;
    // Too many requests are slowed down, not refused: a script in a loop then still works.
    if (const auto wait = host->admit(); wait.count() > 0) {
        idle_.expires_after(wait);
        idle_.async_wait([self = shared_from_this()](boost::system::error_code error) {
            if (!error)
                self->handle();
        });
        return;
    }
    const auto target = request_.target();
    const std::string verb = verb_of({target.data(), target.size()});
    if (verb.empty())
        return send_end(404, failure(exit_usage, "there is nothing here; verbs are below /v1/"));
    if (request_.method() != http::verb::post)
        return send_end(405, failure(exit_usage, "a verb is asked for with POST"));
    if (!host->has(verb))
        return send_end(404, failure(exit_usage, fmt::format("the running daemon knows no '{}'", verb)));
    // Weak: a reply that a handler keeps for long must not keep the connection.
    const auto reply = std::make_shared<Reply>(weak_from_this());
    auto parsed = parse_request(verb, request_.body());
    if (!parsed.request)
        return reply->fail(exit_usage, parsed.reason);
    parsed.request->uid = uid_;
    parsed.request->pid = pid_;
    host->answer(*parsed.request, reply);
}

void ControlConnection::send_progress(const std::string& line) {
    if (request_.version() < 11) // knows no chunks, and gets the end alone
        return;
    if (!std::exchange(is_chunked_, true))
        send("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    send(fmt::format("{:x}\r\n{}\n\r\n", line.size() + 1, line));
}

void ControlConnection::send_end(unsigned status, const std::string& line) {
    is_last_ = is_last_ || !request_.keep_alive();
    if (std::exchange(is_chunked_, false))
        send(fmt::format("{:x}\r\n{}\n\r\n0\r\n\r\n", line.size() + 1, line));
    else
        send(fmt::format(
            "HTTP/1.1 {} {}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n{}\r\n{}\n",
            status, std::string(http::obsolete_reason(static_cast<http::status>(status))), line.size() + 1,
            is_last_ ? "Connection: close\r\n" : "", line));
    is_asked_ = false;
    // Not from within the handler's call: a client that sends many requests would nest them all.
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
        if (!self->is_asked_ && self->is_open() && !self->is_last_)
            self->on_idle();
    });
}

void ControlConnection::send(const std::string& bytes) {
    if (!socket_.is_open())
        return;
    // A client that asks for much and reads nothing must not fill the memory.
    if (out_.size() + bytes.size() > limits_.max_pending) {
        log::warning("control: process {} does not read its answer, {} bytes wait; cut off", pid_,
                     out_.size() + writing_.size() + bytes.size());
        close();
        return;
    }
    out_ += bytes;
    if (writing_.empty())
        write();
}

void ControlConnection::write() {
    if (writing_.empty())
        writing_.swap(out_);
    if (writing_.empty()) {
        stall_.cancel();
        if (is_last_)
            close();
        return;
    }
    arm_stall();
    socket_.async_write_some(boost::asio::buffer(writing_),
                             [self = shared_from_this()](boost::system::error_code error, std::size_t count) {
                                 self->on_written(count, error.failed());
                             });
}

void ControlConnection::on_written(std::size_t count, bool has_failed) {
    if (has_failed) {
        close();
        return;
    }
    writing_.erase(0, count);
    write();
}

void ControlConnection::arm_stall() {
    stall_.expires_after(std::chrono::milliseconds(limits_.stalled_ms));
    stall_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        if (!error)
            self->close();
    });
}

void ControlConnection::close() {
    if (!socket_.is_open())
        return;
    boost::system::error_code ignored; // whatever it says, the descriptor is gone
    socket_.close(ignored);
    idle_.cancel();
    stall_.cancel();
    if (const auto host = host_.lock())
        host->on_closed(*this);
}

} // namespace things
