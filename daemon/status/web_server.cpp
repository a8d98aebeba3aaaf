// SPDX-License-Identifier: Apache-2.0
#include "status/web_server.hpp"

#include "platform/socket_file.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace things {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

using Stream = asio::generic::stream_protocol; // TCP and Unix sockets alike
using Request = http::request<http::string_body>;

const char* const text_type = "text/plain; charset=utf-8";
constexpr std::size_t most_connections = 16;
// More are closed after their answer, so that idle ones leave room for who comes next.
constexpr std::size_t most_kept = most_connections / 2;
constexpr std::uint32_t most_header_bytes = 8 * 1024;
constexpr std::chrono::seconds phase_limit{5};
// Between two requests of a connection that is kept.
constexpr std::chrono::seconds idle_limit{60};

std::string_view without_port(std::string_view host) {
    const bool is_ipv6 = host.starts_with('[');
    const auto end = host.find(is_ipv6 ? ']' : ':');
    if (!is_ipv6)
        return host.substr(0, end);
    // Nothing but a port may follow an address in brackets.
    if (end == std::string_view::npos || (end + 1 < host.size() && host[end + 1] != ':'))
        return {};
    return host.substr(1, end - 1);
}

/// Headers on every answer: nothing is cached, framed, sniffed or loaded from elsewhere.
void protect(http::response<http::string_body>& response) {
    response.set(http::field::cache_control, "no-store");
    response.set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
                                            "connect-src 'self'; img-src 'self'; base-uri 'none'; "
                                            "form-action 'none'; frame-ancestors 'none'");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Referrer-Policy", "no-referrer");
    response.set("Cross-Origin-Resource-Policy", "same-origin");
}

bool is_same_word(std::string_view a, std::string_view b) {
    return beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

std::string_view field(const Request& request, http::field name) {
    const auto value = request[name];
    return {value.data(), value.size()};
}

/// What proxies and servers must not read in two ways; empty if there is nothing.
std::string mistake_of(const Request& request) {
    if (request.count(http::field::host) > 1)
        return "more than one Host\n";
    if (request.count(http::field::transfer_encoding) > 0)
        return "a request without a body has no Transfer-Encoding\n";
    return {};
}

/// A link on another site that is followed by a person is a navigation and may open the page; scripts of
/// other sites may read nothing of it.
bool is_cross_site(const Request& request) {
    const auto named = [&request](const char* name) {
        const auto value = request[name];
        return std::string_view(value.data(), value.size());
    };
    if (is_same_word(named("Sec-Fetch-Site"), "cross-site") &&
        !is_same_word(named("Sec-Fetch-Mode"), "navigate"))
        return true;
    const std::string_view origin = field(request, http::field::origin);
    const auto scheme = origin.find("://");
    return !origin.empty() && (scheme == std::string_view::npos ||
                               origin.substr(scheme + 3) != field(request, http::field::host));
}

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

bool is_host_allowed(std::string_view host, std::string_view hostname,
                     const std::vector<std::string>& names) {
    const std::string_view name = without_port(host);
    boost::system::error_code error;
    asio::ip::make_address(std::string(name), error);
    // An address cannot be taken over by a foreign name server (DNS rebinding), a name can.
    if (!error)
        return true;
    if (is_same_word(name, "localhost") ||
        std::any_of(names.begin(), names.end(), [name](const auto& own) { return is_same_word(name, own); }))
        return true;
    const bool own = !hostname.empty() && is_same_word(name.substr(0, hostname.size()), hostname);
    return own && (name.size() == hostname.size() || is_same_word(name.substr(hostname.size()), ".local"));
}

/// What the server's connections share: who is there, and what there is to see.
class WebServer::State : public std::enable_shared_from_this<WebServer::State> {
public:
    State(asio::io_context& loop, const WebConfig& config, std::map<std::string, Page> pages)
        : config_(config), pages_(std::move(pages)), tcp_(loop), local_(loop) {}

    [[nodiscard]] std::string listen();
    void close();
    [[nodiscard]] std::uint16_t port() const;

    [[nodiscard]] WebAnswer answer(const Request& request) const;
    /// Idle ones must leave room for who comes next.
    [[nodiscard]] bool may_keep() const { return connections_.size() <= most_kept; }
    void forget(const Connection* connection) { std::erase(connections_, connection); }

private:
    /// A place where clients come in. Its pause is what a lack of descriptors costs.
    struct Door {
        explicit Door(asio::io_context& loop) : acceptor(loop), pause(loop) {}
        asio::basic_socket_acceptor<Stream> acceptor;
        asio::steady_timer pause;
    };

    [[nodiscard]] std::string listen_tcp();
    [[nodiscard]] std::string listen_local();
    void accept(Door& door);
    void on_accept(Door& door, boost::system::error_code error, Stream::socket socket);
    void make_room(const std::string& address);

    WebConfig config_;
    std::map<std::string, Page> pages_;
    Door tcp_, local_;
    SocketFile file_;
    std::string hostname_ = asio::ip::host_name();
    std::vector<Connection*> connections_; ///< each is there from its begin to its end
};

/// One client. Keeps itself alive through its pending handler.
class WebServer::Connection : public std::enable_shared_from_this<WebServer::Connection> {
public:
    Connection(Stream::socket socket, std::string address, std::shared_ptr<State> state)
        : stream_(std::move(socket)), address_(std::move(address)), state_(std::move(state)) {}
    ~Connection() { state_->forget(this); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Of the client; empty on the Unix socket.
    [[nodiscard]] const std::string& address() const { return address_; }
    /// Since when it waits for the same thing.
    [[nodiscard]] std::chrono::steady_clock::time_point since() const { return since_; }

    void read(std::chrono::seconds limit) {
        parser_.emplace();
        parser_->header_limit(most_header_bytes);
        // GET and HEAD have none.
        parser_->body_limit(0);
        expect(limit);
        http::async_read(stream_, buffer_, *parser_,
                         beast::bind_front_handler(&Connection::on_read, shared_from_this()));
    }

    void close() {
        state_->forget(this);
        stream_.close();
    }

private:
    void expect(std::chrono::seconds limit) {
        since_ = std::chrono::steady_clock::now();
        stream_.expires_after(limit);
    }

    void on_read(boost::system::error_code error, std::size_t) {
        if (error == http::error::header_limit || error == http::error::body_limit)
            return write({413, text_type, "request too large\n"}, 11, false, false);
        if (error)
            return;
        const Request request = parser_->release();
        const bool head = request.method() == http::verb::head;
        write(state_->answer(request), request.version(), request.keep_alive(), head);
    }

    void write(WebAnswer answer, unsigned version, bool keep_alive, bool head) {
        response_ = {};
        response_.version(version);
        response_.result(static_cast<unsigned>(answer.status));
        response_.set(http::field::content_type, answer.type);
        protect(response_);
        if (answer.status == 405)
            response_.set(http::field::allow, "GET, HEAD");
        // What follows a malformed request may be a part of it.
        response_.keep_alive(keep_alive && answer.status != 400 && state_->may_keep());
        response_.content_length(answer.body.size());
        if (!head)
            response_.body() = std::move(answer.body);
        expect(phase_limit);
        serializer_.emplace(response_);
        // Beast would send the body that content_length announces; the header alone is what HEAD asks for.
        if (head)
            http::async_write_header(stream_, *serializer_,
                                     beast::bind_front_handler(&Connection::on_write, shared_from_this()));
        else
            http::async_write(stream_, *serializer_,
                              beast::bind_front_handler(&Connection::on_write, shared_from_this()));
    }

    void on_write(boost::system::error_code error, std::size_t) {
        if (!error && response_.keep_alive())
            return read(idle_limit);
        boost::system::error_code ignored;
        // Closing at once could reset the connection and take the answer's end with it.
        stream_.socket().shutdown(Stream::socket::shutdown_send, ignored);
    }

    beast::basic_stream<Stream> stream_;
    std::string address_;
    std::chrono::steady_clock::time_point since_;
    beast::flat_buffer buffer_{most_header_bytes};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
    std::optional<http::response_serializer<http::string_body>> serializer_;
    std::shared_ptr<State> state_; // with the server: the pages must outlive the last request
};

WebAnswer WebServer::State::answer(const Request& request) const {
    if (const std::string mistake = mistake_of(request); !mistake.empty())
        return {400, text_type, mistake};
    if (request.method() != http::verb::get && request.method() != http::verb::head)
        return {405, text_type, "read only: GET and HEAD\n"};
    const std::string target(request.target());
    const auto page = pages_.find(target.substr(0, target.find('?')));
    const bool is_for_any_host = page != pages_.end() && page->second.is_for_any_host;
    const std::string_view host = field(request, http::field::host);
    if (!is_for_any_host && !is_host_allowed(host, hostname_, config_.names))
        return {
            421, text_type,
            "use the gateway's address, localhost or its own name; other names are allowed with web.names "
            "in its configuration\n"};
    if (is_cross_site(request))
        return {403, text_type, "cross-site requests are refused\n"};
    if (page == pages_.end())
        return {404, text_type, "no such page\n"};
    return page->second.handler();
}

std::string WebServer::State::listen() {
    std::string problem = config_.address.empty() || tcp_.acceptor.is_open() ? std::string() : listen_tcp();
    const bool is_served = local_.acceptor.is_open() && file_.is_there();
    const std::string other = config_.socket.empty() || is_served ? std::string() : listen_local();
    if (!other.empty())
        problem += (problem.empty() ? "" : "; ") + other;
    return problem;
}

std::string WebServer::State::listen_tcp() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(config_.address, error);
    const tcp::endpoint endpoint(address, config_.port);
    auto& acceptor = tcp_.acceptor;
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

std::string WebServer::State::listen_local() {
    boost::system::error_code error;
    auto& acceptor = local_.acceptor;
    // Where somebody removed the file nobody can come in any more.
    acceptor.close(error);
    local_.pause.cancel();
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

void WebServer::State::close() {
    boost::system::error_code ignored;
    for (Door* door : {&tcp_, &local_}) {
        door->acceptor.close(ignored);
        door->pause.cancel();
    }
    file_.remove();
}

std::uint16_t WebServer::State::port() const {
    boost::system::error_code error;
    const Stream::endpoint generic = tcp_.acceptor.local_endpoint(error);
    tcp::endpoint endpoint;
    if (error || generic.size() > endpoint.capacity())
        return 0;
    std::memcpy(endpoint.data(), generic.data(), generic.size());
    return endpoint.port();
}

void WebServer::State::accept(Door& door) {
    door.acceptor.async_accept(
        [self = shared_from_this(), &door](boost::system::error_code error, Stream::socket socket) {
            self->on_accept(door, error, std::move(socket));
        });
}

void WebServer::State::on_accept(Door& door, boost::system::error_code error, Stream::socket socket) {
    if (error == asio::error::operation_aborted || !door.acceptor.is_open())
        return;
    if (error) {
        // Out of descriptors, mostly: the client stays in the kernel's list, and to ask at once again would
        // spin.
        door.pause.expires_after(std::chrono::seconds(1));
        door.pause.async_wait([self = shared_from_this(), &door](boost::system::error_code stopped) {
            if (!stopped)
                self->accept(door);
        });
        return;
    }
    std::string address = address_of(socket);
    make_room(address);
    const auto connection =
        std::make_shared<Connection>(std::move(socket), std::move(address), shared_from_this());
    connections_.push_back(connection.get());
    connection->read(phase_limit);
    accept(door);
}

/// One client that opens connections without end only pushes out its own: who has fewer is never closed for
/// who has more.
void WebServer::State::make_room(const std::string& address) {
    if (connections_.size() < most_connections)
        return;
    std::map<std::string_view, int> counts{{address, 1}};
    for (const Connection* connection : connections_)
        ++counts[connection->address()];
    Connection* chosen = nullptr;
    for (Connection* connection : connections_) {
        const int more = chosen == nullptr ? 1 : counts[connection->address()] - counts[chosen->address()];
        if (more > 0 || (more == 0 && connection->since() < chosen->since()))
            chosen = connection;
    }
    chosen->close();
}

WebServer::WebServer(asio::io_context& loop, const WebConfig& config, std::map<std::string, Page> pages)
    : state_(std::make_shared<State>(loop, config, std::move(pages))) {}

WebServer::~WebServer() {
    state_->close();
}

std::string WebServer::listen() {
    return state_->listen();
}

std::uint16_t WebServer::port() const {
    return state_->port();
}

} // namespace things
