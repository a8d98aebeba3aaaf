// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "status/web_certificate.hpp"
#include "status/web_site.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

// One client of the page, with TLS or without: handshake, request, answer, and so on while it is kept. Loop
// only. Keeps itself alive through its pending handler; every wait has an end. Bounded: 8 kB a request, no
// body, 5 s a phase, a minute between two requests.
namespace things {

class WebServer;

class WebConnection : public std::enable_shared_from_this<WebConnection> {
public:
    using Stream = boost::asio::generic::stream_protocol; // TCP and Unix sockets alike

    static constexpr std::chrono::seconds phase_limit{5}, idle_limit{60};

    /// `tls` null: plain HTTP. `address` is empty on the Unix socket. The server closes it before it goes.
    WebConnection(Stream::socket socket, std::string address, WebCertificate::Context tls, WebServer& server);
    ~WebConnection();
    WebConnection(const WebConnection&) = delete;
    WebConnection& operator=(const WebConnection&) = delete;

    /// Once. A handshake that must wait is pushed out before others that have waited less.
    void start();
    /// Whatever it waits for; the server hears of it no more.
    void close();
    [[nodiscard]] const std::string& address() const { return address_; }
    /// Since when it waits for the same thing.
    [[nodiscard]] std::chrono::steady_clock::time_point since() const { return since_; }

private:
    using Error = boost::system::error_code;
    using Plain = boost::beast::basic_stream<Stream>;

    void expect(std::chrono::seconds limit);
    void on_handshake(Error error);
    void read(std::chrono::seconds limit);
    void on_read(Error error, std::size_t);
    void answer();
    void write(WebAnswer answer, unsigned version, bool keep_alive, bool head);
    void on_write(Error error, std::size_t);
    /// Calls `act` with the stream that this client speaks on.
    template <typename Act>
    void with_stream(const Act& act) {
        if (is_plain_)
            act(plain_);
        else
            act(*tls_);
    }

    Plain plain_;
    WebCertificate::Context context_;
    std::optional<boost::asio::ssl::stream<Plain&>> tls_;
    bool is_plain_;
    std::string address_;
    WebServer* server_; ///< null once closed
    std::chrono::steady_clock::time_point since_;
    boost::asio::steady_timer pause_;
    boost::beast::flat_buffer buffer_;
    std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
    WebRequest request_;
    boost::beast::http::response<boost::beast::http::string_body> response_;
    std::optional<boost::beast::http::response_serializer<boost::beast::http::string_body>> serializer_;
};

} // namespace things
