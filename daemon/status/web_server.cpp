// SPDX-License-Identifier: Apache-2.0
#include "status/web_server.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <utility>

namespace things {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr int most_connections = 16;
// More are closed after their answer, so that idle ones leave room for who comes next.
constexpr int most_kept = most_connections / 2;
constexpr std::uint32_t most_header_bytes = 8 * 1024;
constexpr std::chrono::seconds phase_limit{5};
// Between two requests of a connection that is kept.
constexpr std::chrono::seconds idle_limit{60};

std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) {
        const auto end = host.find(']');
        return end == std::string_view::npos ? std::string_view{} : host.substr(1, end - 1);
    }
    const auto colon = host.find(':');
    return colon == std::string_view::npos ? host : host.substr(0, colon);
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

} // namespace

bool is_host_allowed(std::string_view host, std::string_view hostname) {
    const std::string_view name = without_port(host);
    boost::system::error_code error;
    asio::ip::make_address(std::string(name), error);
    // An address cannot be taken over by a foreign name server (DNS rebinding), a name can.
    if (!error)
        return true;
    if (is_same_word(name, "localhost"))
        return true;
    const bool own = !hostname.empty() && is_same_word(name.substr(0, hostname.size()), hostname);
    return own && (name.size() == hostname.size() || is_same_word(name.substr(hostname.size()), ".local"));
}

struct WebServer::State : std::enable_shared_from_this<WebServer::State> {
    State(asio::io_context& loop, std::map<std::string, Handler> all)
        : acceptor(loop), pause(loop), pages(std::move(all)) {}
    void accept();
    void on_accept(boost::system::error_code error, tcp::socket socket);

    tcp::acceptor acceptor;
    asio::steady_timer pause;
    std::map<std::string, Handler> pages;
    std::string hostname = asio::ip::host_name();
    int connections = 0;
};

/// One client. Keeps itself alive through its pending handler.
class WebServer::Connection : public std::enable_shared_from_this<WebServer::Connection> {
public:
    Connection(tcp::socket socket, std::shared_ptr<State> state)
        : stream_(std::move(socket)), state_(std::move(state)) {
        ++state_->connections;
    }
    ~Connection() { --state_->connections; }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void read(std::chrono::seconds limit) {
        parser_.emplace();
        parser_->header_limit(most_header_bytes);
        // GET and HEAD have none.
        parser_->body_limit(0);
        stream_.expires_after(limit);
        http::async_read(stream_, buffer_, *parser_,
                         beast::bind_front_handler(&Connection::on_read, shared_from_this()));
    }

private:
    using Request = http::request<http::string_body>;

    void on_read(boost::system::error_code error, std::size_t) {
        if (error == http::error::header_limit || error == http::error::body_limit)
            return write({413, "text/plain; charset=utf-8", "request too large\n"}, 11, false, false);
        if (error)
            return;
        const Request request = parser_->release();
        const bool head = request.method() == http::verb::head;
        write(answer(request), request.version(), request.keep_alive(), head);
    }

    [[nodiscard]] WebAnswer answer(const Request& request) const {
        if (request.method() != http::verb::get && request.method() != http::verb::head)
            return {405, "text/plain; charset=utf-8", "read only: GET and HEAD\n"};
        const auto text = [&request](auto field) {
            return std::string(request[field]);
        };
        if (!is_host_allowed(text(http::field::host), state_->hostname))
            return {421, "text/plain; charset=utf-8",
                    "use the gateway's address, localhost or its own name\n"};
        const std::string site = text("Sec-Fetch-Site"), origin = text(http::field::origin);
        // A link on another site that is followed by a person is a navigation; what its scripts fetch is not.
        const bool navigation = text("Sec-Fetch-Mode") == "navigate";
        // A link from elsewhere may open the page; scripts of elsewhere may read nothing of it.
        if ((site == "cross-site" && !navigation) ||
            (!origin.empty() && !origin.ends_with("://" + text(http::field::host))))
            return {403, "text/plain; charset=utf-8", "cross-site requests are refused\n"};
        const std::string target(request.target());
        const auto page = state_->pages.find(target.substr(0, target.find('?')));
        if (page == state_->pages.end())
            return {404, "text/plain; charset=utf-8", "no such page\n"};
        return page->second();
    }

    void write(WebAnswer answer, unsigned version, bool keep_alive, bool head) {
        response_ = {};
        response_.version(version);
        response_.result(static_cast<unsigned>(answer.status));
        response_.set(http::field::content_type, answer.type);
        protect(response_);
        if (answer.status == 405)
            response_.set(http::field::allow, "GET, HEAD");
        response_.keep_alive(keep_alive && state_->connections <= most_kept);
        response_.content_length(answer.body.size());
        if (!head)
            response_.body() = std::move(answer.body);
        stream_.expires_after(phase_limit);
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
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{most_header_bytes};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
    std::optional<http::response_serializer<http::string_body>> serializer_;
    std::shared_ptr<State> state_; // with the server: the pages must outlive the last request
};

void WebServer::State::accept() {
    acceptor.async_accept([self = shared_from_this()](boost::system::error_code error, tcp::socket socket) {
        self->on_accept(error, std::move(socket));
    });
}

void WebServer::State::on_accept(boost::system::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor.is_open())
        return;
    if (error) {
        // Out of descriptors, mostly: the client stays in the kernel's list, and to ask at once again would
        // spin.
        pause.expires_after(std::chrono::seconds(1));
        pause.async_wait([self = shared_from_this()](boost::system::error_code stopped) {
            if (!stopped)
                self->accept();
        });
        return;
    }
    if (connections < most_connections)
        std::make_shared<Connection>(std::move(socket), shared_from_this())->read(phase_limit);
    accept();
}

WebServer::WebServer(asio::io_context& loop, const WebConfig& config, std::map<std::string, Handler> pages)
    : state_(std::make_shared<State>(loop, std::move(pages))) {
    try {
        const tcp::endpoint endpoint(asio::ip::make_address(config.address), config.port);
        state_->acceptor.open(endpoint.protocol());
        // Without it a restart within a minute finds its own old connections in TIME_WAIT on the port.
        state_->acceptor.set_option(tcp::acceptor::reuse_address(true));
        state_->acceptor.bind(endpoint);
        state_->acceptor.listen();
    } catch (const boost::system::system_error& e) {
        throw std::runtime_error(fmt::format("web.listen {}:{}: {}; choose another port, or web: null",
                                             config.address, config.port, e.code().message()));
    }
    state_->accept();
}

WebServer::~WebServer() {
    boost::system::error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
}

std::uint16_t WebServer::port() const {
    return state_->acceptor.local_endpoint().port();
}

} // namespace things
