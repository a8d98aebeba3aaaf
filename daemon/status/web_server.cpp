// SPDX-License-Identifier: Apache-2.0
#include "status/web_server.hpp"

#include "status/web_connection.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace things {

namespace asio = boost::asio;
using asio::ip::tcp;
using Stream = WebConnection::Stream;

namespace {

constexpr std::size_t most_connections = 16;
// More are closed after their answer, so that idle ones leave room for who comes next.
constexpr std::size_t most_kept = most_connections / 2;

// Of one network: a browser makes six at once.
constexpr std::int64_t handshakes_at_once = 8, handshake_every_ms = 50;
constexpr std::size_t most_networks = 256;

/// Without the port; empty for a client on the Unix socket.
std::string address_of(const Stream::socket& socket) {
    boost::system::error_code error;
    const Stream::endpoint generic = socket.remote_endpoint(error);
    tcp::endpoint endpoint;
    if (error || generic.protocol().family() == AF_UNIX || generic.size() > endpoint.capacity())
        return {};
    std::memcpy(endpoint.data(), generic.data(), generic.size());
    return endpoint.address().to_string();
}

} // namespace

/// A place where clients come in. Its pause is what a lack of descriptors costs.
struct WebServer::Door {
    Door(asio::io_context& loop, WebServer& owner) : acceptor(loop), pause(loop), server(&owner) {}
    asio::basic_socket_acceptor<Stream> acceptor;
    asio::steady_timer pause;
    WebServer* server; ///< null at its end
};

WebServer::WebServer(asio::io_context& loop, const WebConfig& config, std::map<std::string, Page> pages)
    : config_(config), site_(config.names, config.password.reveal(), std::move(pages)),
      tcp_(std::make_shared<Door>(loop, *this)), local_(std::make_shared<Door>(loop, *this)) {
    config_.password = Secret(); // the site has its digest
    if (!config.cert_file.empty())
        certificate_.emplace(config.cert_file, config.key_file);
}

WebServer::~WebServer() {
    boost::system::error_code ignored;
    for (const auto& door : {tcp_, local_}) {
        door->server = nullptr;
        door->acceptor.close(ignored);
        door->pause.cancel();
    }
    file_.remove();
    while (!connections_.empty())
        connections_.back()->close();
}

bool WebServer::may_keep() const {
    return connections_.size() <= most_kept;
}

std::chrono::milliseconds WebServer::admit_handshake(const std::string& address) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
    if (handshakes_.size() >= most_networks)
        handshakes_.clear(); // whoever has so many is not held up by a memory of them
    TokenBucket& bucket =
        handshakes_.try_emplace(network_of(address), handshakes_at_once, handshake_every_ms).first->second;
    if (bucket.take(now.count()))
        return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(bucket.wait_ms(now.count()) + 1);
}

std::string WebServer::listen() {
    std::string problem = config_.address.empty() ? std::string() : listen_tcp();
    const bool is_served = local_->acceptor.is_open() && file_.is_there();
    const std::string other = config_.socket.empty() || is_served ? std::string() : listen_local();
    if (!other.empty())
        problem += (problem.empty() ? "" : "; ") + other;
    return problem;
}

std::string WebServer::listen_tcp() {
    auto& acceptor = tcp_->acceptor;
    // First: whoever comes in must find it.
    if (certificate_ && certificate_->context() == nullptr)
        return fmt::format("web.tls: {}", certificate_->problem());
    if (acceptor.is_open())
        return certificate_ && !certificate_->problem().empty()
                   ? fmt::format("web.tls: {}; the older certificate is still shown", certificate_->problem())
                   : std::string();
    boost::system::error_code error;
    const auto address = asio::ip::make_address(config_.address, error);
    const tcp::endpoint endpoint(address, config_.port);
    if (!error)
        acceptor.open(Stream(endpoint.protocol()), error);
    // Without it a restart within a minute finds its own old connections in TIME_WAIT on the port.
    if (!error)
        acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error)
        acceptor.bind(endpoint, error);
    if (!error)
        acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) {
        accept(tcp_);
        return {};
    }
    std::string problem = fmt::format("web.listen {}:{}: {}", config_.address, config_.port, error.message());
    acceptor.close(error);
    return problem;
}

std::string WebServer::listen_local() {
    boost::system::error_code error;
    auto& acceptor = local_->acceptor;
    // Where somebody removed the file nobody can come in any more.
    acceptor.close(error);
    local_->pause.cancel();
    acceptor.open(Stream(AF_UNIX, 0), error);
    std::string problem = error ? error.message() : file_.bind(acceptor.native_handle(), config_.socket);
    if (problem.empty() && acceptor.listen(asio::socket_base::max_listen_connections, error))
        problem = error.message();
    if (problem.empty()) {
        accept(local_);
        return {};
    }
    acceptor.close(error);
    return fmt::format("web.socket {}: {}", config_.socket.string(), problem);
}

std::uint16_t WebServer::port() const {
    boost::system::error_code error;
    const Stream::endpoint generic = tcp_->acceptor.local_endpoint(error);
    tcp::endpoint endpoint;
    if (error || generic.size() > endpoint.capacity())
        return 0;
    std::memcpy(endpoint.data(), generic.data(), generic.size());
    return endpoint.port();
}

void WebServer::accept(const std::shared_ptr<Door>& door) {
    door->acceptor.async_accept([door](boost::system::error_code error, Stream::socket socket) {
        if (door->server != nullptr)
            door->server->on_accept(door, error, std::move(socket));
    });
}

void WebServer::on_accept(const std::shared_ptr<Door>& door, boost::system::error_code error,
                          Stream::socket socket) {
    if (error == asio::error::operation_aborted || !door->acceptor.is_open())
        return;
    if (error) {
        // Out of descriptors, mostly: the client stays in the kernel's list, and to ask at once again would
        // spin.
        door->pause.expires_after(std::chrono::seconds(1));
        door->pause.async_wait([door](boost::system::error_code stopped) {
            if (!stopped && door->server != nullptr)
                door->server->accept(door);
        });
        return;
    }
    std::string address = address_of(socket);
    make_room(address);
    const bool has_tls = certificate_ && door == tcp_;
    const auto connection = std::make_shared<WebConnection>(
        std::move(socket), std::move(address), has_tls ? certificate_->context() : nullptr, *this);
    connections_.push_back(connection.get());
    connection->start();
    accept(door);
}

/// One client that opens connections without end only pushes out its own: who has fewer is never closed for
/// who has more.
void WebServer::make_room(const std::string& address) {
    if (connections_.size() < most_connections)
        return;
    std::map<std::string_view, int> counts{{address, 1}};
    for (const WebConnection* connection : connections_)
        ++counts[connection->address()];
    WebConnection* chosen = nullptr;
    for (WebConnection* connection : connections_) {
        const int more = chosen == nullptr ? 1 : counts[connection->address()] - counts[chosen->address()];
        if (more > 0 || (more == 0 && connection->since() < chosen->since()))
            chosen = connection;
    }
    chosen->close();
}

} // namespace things
