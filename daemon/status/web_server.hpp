// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The read-only HTTP server: page, API, metrics, health, on a TCP port, a Unix socket or both. Loop only;
// nothing in it blocks. Bounded: 16 connections, of which 8 may stay idle for a minute, 8 kB a request, 5 s a
// phase. When all are taken, the one that has waited longest makes room, of the address that has the most:
// nobody keeps others away. Answers only GET and HEAD; pages only for a Host that is an address, localhost,
// this machine's own name or a configured one (DNS rebinding); refuses cross-site requests (Sec-Fetch-Site,
// Origin).
namespace things {

/// What a page's handler says. Security headers, length and connection handling are the server's.
struct WebAnswer {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
};

/// Whether a page may be served under a Host header: an address literal, localhost, one of `names`, or
/// `hostname` with or without ".local"; a port may follow. Pure.
bool is_host_allowed(std::string_view host, std::string_view hostname,
                     const std::vector<std::string>& names = {});

/// A page is looked up by its path alone; what follows a `?` is cut off. Answers other than the pages' own:
/// 400 malformed, 403 cross-site, 404, 405, 413 too large, 421 a foreign Host.
class WebServer {
public:
    /// Called on the loop for each request; must not block and must not throw.
    using Handler = std::function<WebAnswer()>;
    struct Page {
        Handler handler;
        bool is_for_any_host = false; ///< for programs, which ask by whatever name; nothing that is private
    };

    /// Opens nothing yet. `pages`, by path; the handlers must stay callable until the loop has ended, since a
    /// connection that was open at the server's end is still served.
    WebServer(boost::asio::io_context& loop, const WebConfig& config, std::map<std::string, Page> pages);
    /// Takes no more connections; those that are open end by their time limits, or with the loop.
    ~WebServer();
    WebServer(const WebServer&) = delete;
    WebServer& operator=(const WebServer&) = delete;

    /// Opens what is configured and not open yet. Returns what is wrong and what to do; empty if nothing. May
    /// be called again at any time.
    [[nodiscard]] std::string listen();
    /// The port it listens on, which differs from the configured one if that was 0; 0: on none.
    [[nodiscard]] std::uint16_t port() const;

private:
    class Connection;
    class State;
    std::shared_ptr<State> state_; // shared with the connections, which may outlive the server by one handler
};

} // namespace things
