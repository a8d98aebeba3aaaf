// SPDX-License-Identifier: Apache-2.0
#include "status/web_connection.hpp"

#include "platform/gzip.hpp"
#include "status/web_server.hpp"

#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <utility>

namespace things {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t most_header_bytes = 8 * 1024;
constexpr std::size_t least_gzipped = 1024; // below, a packet is a packet

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

bool is_plain_http(boost::system::error_code error) {
    return error.category() == asio::error::get_ssl_category() &&
           ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
}

} // namespace

WebConnection::WebConnection(Stream::socket socket, std::string address, WebCertificate::Context tls,
                             WebServer& server)
    : plain_(std::move(socket)), context_(std::move(tls)), is_plain_(context_ == nullptr),
      address_(std::move(address)), server_(&server), pause_(plain_.get_executor()),
      buffer_(most_header_bytes) {
    if (!is_plain_)
        tls_.emplace(plain_, *context_);
}

WebConnection::~WebConnection() {
    if (server_ != nullptr)
        server_->forget(this);
}

void WebConnection::start() {
    if (is_plain_)
        return read(phase_limit);
    if (since_ == std::chrono::steady_clock::time_point())
        since_ = std::chrono::steady_clock::now();
    if (const auto wait = server_->admit_handshake(address_); wait.count() > 0) {
        pause_.expires_after(wait);
        return pause_.async_wait([self = shared_from_this()](Error stopped) {
            if (!stopped && self->server_ != nullptr)
                self->start();
        });
    }
    expect(phase_limit);
    tls_->async_handshake(asio::ssl::stream_base::server,
                          beast::bind_front_handler(&WebConnection::on_handshake, shared_from_this()));
}

void WebConnection::close() {
    if (server_ != nullptr)
        std::exchange(server_, nullptr)->forget(this);
    pause_.cancel();
    plain_.close();
}

void WebConnection::expect(std::chrono::seconds limit) {
    since_ = std::chrono::steady_clock::now();
    plain_.expires_after(limit);
}

void WebConnection::on_handshake(Error error) {
    if (server_ == nullptr || (error && !is_plain_http(error)))
        return;
    if (!error)
        return read(phase_limit);
    // A person who left out the https: a browser shows what it is told, not a connection that ends.
    is_plain_ = true;
    write({400, "text/plain; charset=utf-8", "here is HTTPS: put https:// before the address\n"}, 11, false,
          false);
}

void WebConnection::read(std::chrono::seconds limit) {
    parser_.emplace();
    parser_->header_limit(most_header_bytes);
    // GET and HEAD have none.
    parser_->body_limit(0);
    expect(limit);
    with_stream([this](auto& stream) {
        http::async_read(stream, buffer_, *parser_,
                         beast::bind_front_handler(&WebConnection::on_read, shared_from_this()));
    });
}

void WebConnection::on_read(Error error, std::size_t) {
    if (server_ == nullptr)
        return;
    if (error == http::error::header_limit || error == http::error::body_limit)
        return write({413, "text/plain; charset=utf-8", "request too large\n"}, 11, false, false);
    if (error)
        return;
    request_ = parser_->release();
    since_ = std::chrono::steady_clock::now();
    answer();
}

void WebConnection::answer() {
    WebSite& site = server_->site();
    const auto wait = site.wait(request_, address_);
    const bool head = request_.method() == http::verb::head;
    if (wait.count() == 0)
        return write(site.answer(request_, address_), request_.version(), request_.keep_alive(), head);
    if (std::chrono::steady_clock::now() - since_ > phase_limit)
        return write(WebSite::busy(), request_.version(), false, head);
    pause_.expires_after(wait);
    pause_.async_wait([self = shared_from_this()](Error stopped) {
        if (!stopped && self->server_ != nullptr)
            self->answer();
    });
}

void WebConnection::write(WebAnswer answer, unsigned version, bool keep_alive, bool head) {
    response_ = {};
    response_.version(version);
    response_.result(static_cast<unsigned>(answer.status));
    response_.set(http::field::content_type, answer.type);
    protect(response_);
    if (answer.status == 401)
        response_.set(http::field::www_authenticate, "Basic realm=\"KPN Things gateway\", charset=\"UTF-8\"");
    if (answer.status == 405)
        response_.set(http::field::allow, "GET, HEAD");
    if (answer.status == 429)
        response_.set(http::field::retry_after, "5");
    if (answer.body.size() >= least_gzipped) {
        response_.set(http::field::vary, "Accept-Encoding");
        const auto accepted = request_[http::field::accept_encoding];
        if (is_gzip_accepted({accepted.data(), accepted.size()})) {
            answer.body = gzip(answer.body);
            response_.set(http::field::content_encoding, "gzip");
        }
    }
    // What follows a malformed request may be a part of it.
    response_.keep_alive(keep_alive && answer.status != 400 && server_->may_keep());
    response_.content_length(answer.body.size());
    if (!head)
        response_.body() = std::move(answer.body);
    expect(phase_limit);
    serializer_.emplace(response_);
    with_stream([this, head](auto& stream) {
        auto handler = beast::bind_front_handler(&WebConnection::on_write, shared_from_this());
        // Beast would send the body that content_length announces; the header alone is what HEAD asks for.
        if (head)
            http::async_write_header(stream, *serializer_, std::move(handler));
        else
            http::async_write(stream, *serializer_, std::move(handler));
    });
}

void WebConnection::on_write(Error error, std::size_t) {
    if (error || server_ == nullptr)
        return;
    if (response_.keep_alive())
        return read(idle_limit);
    if (!is_plain_) {
        // Says that this was all (RFC 8446 6.1), and waits for the client's word within the limit.
        expect(phase_limit);
        return tls_->async_shutdown([self = shared_from_this()](Error) {});
    }
    Error ignored;
    // Closing at once could reset the connection and take the answer's end with it.
    plain_.socket().shutdown(Stream::socket::shutdown_send, ignored);
}

} // namespace things
