// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/http.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace boost::asio::ssl {
class context;
}

// Listening sockets and the connections on them: HTTP/1.1 with keep-alive, with TLS (the platform) or without
// (the control port). One io_context, one thread.
namespace things::simulator {

/// Who answers. `written` follows each `answer` exactly once, when it has left or the connection is gone.
class Handler {
public:
    virtual ~Handler() = default;
    virtual Answer answer(const Request& request) = 0;
    /// An answer before the body of this request is read, if it gets one.
    virtual std::optional<Answer> answer_early(const Request&) { return std::nullopt; }
    virtual void written(const Answer&) {}
};

class Connection {
public:
    virtual ~Connection() = default;
    virtual void start() = 0;
    virtual void stop() = 0; // at once; the peer sees a close
};

struct Traffic {
    std::uint64_t connections = 0;
    std::uint64_t failed_handshakes = 0;
    std::uint64_t open = 0;
};

/// A listening socket. Opened at construction; throws boost::system::system_error if the address is taken.
class Listener {
public:
    /// Without `tls` the connections are plain. `handler` and `tls` outlive the listener.
    Listener(boost::asio::io_context& loop, const std::string& address, unsigned short port, Handler& handler,
             boost::asio::ssl::context* tls);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    [[nodiscard]] unsigned short port() const { return endpoint_.port(); }
    /// An outage: no more connections, and those that are open are closed. `open` ends it, on the same port.
    void close();
    void open();
    [[nodiscard]] bool is_open() const { return acceptor_.is_open(); }
    [[nodiscard]] const Traffic& traffic() const { return traffic_; }

private:
    template <typename Stream>
    friend class HttpConnection;
    void accept();
    void on_accept(const boost::system::error_code& error, boost::asio::ip::tcp::socket socket);

    boost::asio::io_context& loop_;
    boost::asio::ip::tcp::endpoint endpoint_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::ip::tcp::socket
        place_; ///< holds the port while nobody listens, else another program may get it
    Handler& handler_;
    boost::asio::ssl::context* tls_;
    Traffic traffic_;
    std::set<Connection*> connections_; // each owns itself while an operation of it is pending
};

} // namespace things::simulator
