// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/socket_file.hpp"
#include "platform/token_bucket.hpp"
#include "status/web_certificate.hpp"
#include "status/web_site.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The read-only HTTP server: page, API, metrics, health, on a TCP port (with TLS if there is a certificate),
// a Unix socket or both. Loop only; nothing in it blocks. Bounded: 16 connections, of which 8 may stay idle.
// When all are taken, the one that has waited longest makes room, of the address that has the most: nobody
// keeps others away.
namespace things {

class WebConnection;

class WebServer {
public:
    using Page = WebPage;

    /// Opens nothing yet. `pages`, by path.
    WebServer(boost::asio::io_context& loop, const WebConfig& config, std::map<std::string, Page> pages);
    /// Closes all connections; no page is asked for any more.
    ~WebServer();
    WebServer(const WebServer&) = delete;
    WebServer& operator=(const WebServer&) = delete;

    /// Opens what is configured and not open yet. Returns what is wrong and what to do; empty if nothing. May
    /// be called again at any time.
    [[nodiscard]] std::string listen();
    /// The port it listens on, which differs from the configured one if that was 0; 0: on none.
    [[nodiscard]] std::uint16_t port() const;

    // For its connections.
    [[nodiscard]] WebSite& site() { return site_; }
    /// Idle ones must leave room for who comes next.
    [[nodiscard]] bool may_keep() const;
    /// How long a handshake with this address must wait until it may begin; counts it if zero. A signature
    /// costs a small machine milliseconds of the loop: whoever comes again and again must not get all of
    /// them.
    [[nodiscard]] std::chrono::milliseconds admit_handshake(const std::string& address);
    void forget(const WebConnection* connection) { std::erase(connections_, connection); }

private:
    struct Door;

    [[nodiscard]] std::string listen_tcp();
    [[nodiscard]] std::string listen_local();
    void accept(const std::shared_ptr<Door>& door);
    void on_accept(const std::shared_ptr<Door>& door, boost::system::error_code error,
                   boost::asio::generic::stream_protocol::socket socket);
    void make_room(const std::string& address);

    WebConfig config_;
    WebSite site_;
    std::optional<WebCertificate> certificate_;
    std::map<std::string, TokenBucket> handshakes_; ///< by network_of()
    std::shared_ptr<Door> tcp_,
        local_; // with the handler that waits at it, which may run after the server's end
    SocketFile file_;
    std::vector<WebConnection*> connections_; ///< each is there from its begin to its end
};

} // namespace things
