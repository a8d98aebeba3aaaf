// SPDX-License-Identifier: Apache-2.0
#include "control/connection.hpp"

#include "platform/json.hpp"
#include "platform/log.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <utility>

#include <sys/socket.h>

namespace things {

namespace {

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
            connection->send("{\"progress\":" + json + "}");
    }
    void finish(const std::string& json) override {
        end("{\"done\":true,\"ok\":true,\"result\":" + json + "}");
    }
    void fail(int exit_code, const std::string& text) override {
        end(fmt::format("{{\"done\":true,\"ok\":false,\"exit\":{},\"error\":{}}}", exit_code,
                        json_string(text)));
    }
    [[nodiscard]] bool is_open() const override { return open() != nullptr; }

private:
    [[nodiscard]] std::shared_ptr<ControlConnection> open() const {
        auto connection = is_done_ ? nullptr : connection_.lock();
        return connection && connection->is_open() ? connection : nullptr;
    }
    void end(const std::string& line) {
        const auto connection = open();
        is_done_ = true;
        if (!connection)
            return;
        connection->send(line);
        connection->on_answered();
    }
    std::weak_ptr<ControlConnection> connection_;
    bool is_done_ = false;
};

} // namespace

ControlConnection::ControlConnection(Socket socket, std::weak_ptr<ControlHost> host,
                                     const ControlLimits& limits)
    : socket_(std::move(socket)), host_(std::move(host)), limits_(limits), idle_(socket_.get_executor()),
      stall_(socket_.get_executor()) {}

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

/// Waits for a whole line, from now; a client that sends a byte now and then gains nothing.
void ControlConnection::on_idle() {
    idle_since_ = std::chrono::steady_clock::now();
    idle_.expires_after(std::chrono::milliseconds(limits_.idle_ms));
    idle_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        if (!error && self->is_idle())
            self->close();
    });
    take_line();
}

void ControlConnection::read() {
    if (is_reading_ || is_ended_ || !socket_.is_open() || in_.size() > control_max_line)
        return;
    is_reading_ = true;
    socket_.async_read_some(boost::asio::buffer(chunk_),
                            [self = shared_from_this()](boost::system::error_code error, std::size_t count) {
                                self->on_read(count, error.failed());
                            });
}

void ControlConnection::on_read(std::size_t count, bool is_end) {
    is_reading_ = false;
    in_.append(chunk_.data(), count);
    if (is_end && !is_ended_) {
        is_ended_ = true;
        wait_for_hang_up();
    }
    if (is_idle())
        take_line();
    else
        read(); // up to one more line; it also notices that the client is gone
}

/// A client that only shut down its sending half still wants its answer; one that is gone does not.
void ControlConnection::wait_for_hang_up() {
    if (!socket_.is_open())
        return;
    socket_.async_wait(Socket::wait_error, [self = shared_from_this()](boost::system::error_code error) {
        if (!error)
            self->close();
    });
}

void ControlConnection::take_line() {
    if (!socket_.is_open())
        return;
    const auto end = in_.find('\n');
    if (end == std::string::npos && in_.size() > control_max_line) {
        send(R"({"done":true,"ok":false,"exit":64,"error":"the line is too long"})");
        is_last_ = true;
        return;
    }
    if (end == std::string::npos) {
        if (!is_ended_)
            read();
        else if (out_.empty() && writing_.empty())
            close();
        else
            is_last_ = true;
        return;
    }
    const auto line = in_.substr(0, end);
    in_.erase(0, end + 1);
    is_asked_ = true;
    idle_.cancel();
    handle(line);
}

void ControlConnection::handle(const std::string& line) {
    const auto host = host_.lock();
    if (!host || !socket_.is_open())
        return;
    // Too many requests are slowed down, not refused: a script in a loop then still works.
    if (const auto wait = host->admit(); wait.count() > 0) {
        idle_.expires_after(wait);
        idle_.async_wait([self = shared_from_this(), line](boost::system::error_code error) {
            if (!error)
                self->handle(line);
        });
        return;
    }
    read();
    // Weak: a reply that a handler keeps for long must not keep the connection.
    const auto reply = std::make_shared<Reply>(weak_from_this());
    auto parsed = parse_request(line);
    if (!parsed.request) {
        reply->fail(64, parsed.reason);
        return;
    }
    parsed.request->uid = uid_;
    parsed.request->pid = pid_;
    host->answer(*parsed.request, reply);
}

void ControlConnection::on_answered() {
    is_asked_ = false;
    // Not from within the handler's call: a client that sends many lines would nest them all.
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
        if (self->is_idle() && self->is_open())
            self->on_idle();
    });
}

void ControlConnection::send(const std::string& line) {
    if (!socket_.is_open())
        return;
    // A client that asks for much and reads nothing must not fill the memory.
    if (out_.size() + line.size() > limits_.max_pending) {
        log::warning("control: process {} does not read its answer, {} bytes wait; cut off", pid_,
                     out_.size() + writing_.size() + line.size());
        close();
        return;
    }
    out_ += line;
    out_ += '\n';
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
