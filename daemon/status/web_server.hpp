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

// The read-only HTTP server: page, API, metrics, health. Loop only; nothing in it blocks. Bounded: 16
// connections, 8 kB a request, 5 s a phase. Answers only GET and HEAD, only for a Host that is an address,
// localhost or this machine's own name (DNS rebinding), and refuses cross-site requests (Sec-Fetch-Site,
// Origin).
namespace things {

struct WebAnswer {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
};

/// Whether a Host header may be answered: an address literal, localhost, or `hostname` with or without
/// ".local"; a port may follow. Pure.
bool is_host_allowed(std::string_view host, std::string_view hostname);

class WebServer {
public:
    using Handler = std::function<WebAnswer()>;

    /// Listens at once; throws std::runtime_error with address and reason if that is not possible.
    WebServer(boost::asio::io_context& loop, const WebConfig& config, std::map<std::string, Handler> pages);
    ~WebServer();
    WebServer(const WebServer&) = delete;
    WebServer& operator=(const WebServer&) = delete;

    /// The port it listens on; differs from the configured one if that was 0.
    [[nodiscard]] std::uint16_t port() const;

private:
    class Connection;
    struct State;
    std::shared_ptr<State> state_; // shared with the connections, which may outlive the server by one handler
};

} // namespace things
