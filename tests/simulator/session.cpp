// SPDX-License-Identifier: Apache-2.0
#include "simulator/session.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace things::simulator {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t max_head = std::size_t{64} * 1024;
constexpr std::size_t max_read =
    std::size_t{64} * 1024 * 1024; // a body above this is answered without being read

// Read head, read body, answer, again. Owned by its pending handlers (shared_from_this): the last one that
// returns without starting another operation ends the connection.
template <typename Stream>
class HttpConnection : public Connection, public std::enable_shared_from_this<HttpConnection<Stream>> {
public:
    template <typename... Args>
    HttpConnection(Listener& listener, Args&&... args)
        : listener_(listener), stream_(std::forward<Args>(args)...), timer_(stream_.get_executor()) {
        listener_.connections_.insert(this);
        ++listener_.traffic_.connections;
        ++listener_.traffic_.open;
    }
    ~HttpConnection() override {
        finish_answer();
        listener_.connections_.erase(this);
        --listener_.traffic_.open;
    }

    void start() override {
        error_code ignored;
        socket().set_option(tcp::no_delay(true), ignored);
        if constexpr (is_tls)
            stream_.async_handshake(
                asio::ssl::stream_base::server,
                [self = this->shared_from_this()](const error_code& error) { self->on_handshake(error); });
        else
            read_head();
    }

    void stop() override {
        error_code ignored;
        timer_.cancel();
        socket().close(ignored);
    }

private:
    static constexpr bool is_tls = !std::is_same_v<Stream, tcp::socket>;

    auto& socket() {
        if constexpr (is_tls)
            return stream_.next_layer();
        else
            return stream_;
    }

    void on_handshake(const error_code& error) {
        if (error)
            ++listener_.traffic_.failed_handshakes;
        else
            read_head();
    }

    void read_head() {
        asio::async_read_until(stream_, asio::dynamic_buffer(input_, max_head), "\r\n\r\n",
                               [self = this->shared_from_this()](const error_code& error, std::size_t size) {
                                   self->on_head(error, size);
                               });
    }

    void on_head(const error_code& error, std::size_t size) {
        if (error == asio::error::not_found)
            return refuse(431);
        if (error)
            return;
        auto parsed = parse_head(std::string_view(input_).substr(0, size - 2));
        input_.erase(0, size);
        if (std::holds_alternative<std::string>(parsed))
            return refuse(400);
        request_ = std::move(std::get<Request>(parsed));
        if (auto early = listener_.handler_.answer_early(request_)) {
            answer_ = std::move(*early);
            return send();
        }
        const auto length = body_size(request_);
        if (std::holds_alternative<std::string>(length)) {
            request_.keep_alive = false; // where the next request begins is not known
            return answer();
        }
        const std::size_t expected = std::get<std::size_t>(length);
        if (expected > max_read)
            return refuse(413);
        if (request_.header("expect"))
            return say_continue(expected);
        read_body(expected);
    }

    void say_continue(std::size_t expected) {
        output_ = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(output_),
                          [self = this->shared_from_this(), expected](const error_code& error, std::size_t) {
                              if (!error)
                                  self->read_body(expected);
                          });
    }

    void read_body(std::size_t expected) {
        if (input_.size() >= expected) {
            request_.body = input_.substr(0, expected);
            input_.erase(0, expected);
            return answer();
        }
        asio::async_read(stream_, asio::dynamic_buffer(input_),
                         asio::transfer_exactly(expected - input_.size()),
                         [self = this->shared_from_this(), expected](const error_code& error, std::size_t) {
                             if (!error)
                                 self->read_body(expected);
                         });
    }

    void refuse(int status) {
        request_ = Request();
        request_.keep_alive = false;
        answer_ = Answer();
        answer_.bytes = render(status, "", "", {}, false);
        answer_.then = Answer::Then::close;
        send();
    }

    void answer() {
        answer_ = listener_.handler_.answer(request_);
        is_answering_ = true;
        if (!request_.keep_alive && answer_.then == Answer::Then::keep)
            answer_.then = Answer::Then::close;
        if (answer_.delay.count() == 0)
            return send();
        timer_.expires_after(answer_.delay);
        timer_.async_wait([self = this->shared_from_this()](const error_code& error) {
            if (!error)
                self->send();
        });
    }

    void send() {
        output_ = std::move(answer_.bytes);
        if (output_.empty())
            return after();
        if (answer_.drip.count() > 0) {
            sent_ = 0;
            return drip();
        }
        asio::async_write(stream_, asio::buffer(output_),
                          [self = this->shared_from_this()](const error_code& error, std::size_t) {
                              if (!error)
                                  self->after();
                          });
    }

    void drip() {
        if (sent_ >= output_.size())
            return after();
        asio::async_write(stream_, asio::buffer(output_.data() + sent_, 1),
                          [self = this->shared_from_this()](const error_code& error, std::size_t) {
                              if (!error)
                                  self->wait_for_next_drop();
                          });
    }

    void wait_for_next_drop() {
        ++sent_;
        timer_.expires_after(answer_.drip);
        timer_.async_wait([self = this->shared_from_this()](const error_code& error) {
            if (!error)
                self->drip();
        });
    }

    void after() {
        if (answer_.more_bytes > 0)
            return send_more();
        if (answer_.then == Answer::Then::hang)
            return hang();
        finish_answer();
        error_code ignored;
        if (answer_.then == Answer::Then::keep)
            return read_head();
        if (answer_.then == Answer::Then::reset)
            socket().set_option(asio::socket_base::linger(true, 0), ignored);
        else if (!output_.empty())
            return drain();
        socket().close(ignored);
    }

    void send_more() {
        const auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(answer_.more.size(), answer_.more_bytes));
        answer_.more_bytes -= size;
        asio::async_write(stream_, asio::buffer(answer_.more.data(), size),
                          [self = this->shared_from_this()](const error_code& error, std::size_t) {
                              if (!error)
                                  self->after();
                          });
    }

    // Says nothing, and notices when the client gives up.
    void hang() {
        socket().async_wait(tcp::socket::wait_read,
                            [self = this->shared_from_this()](const error_code&) { self->finish_answer(); });
    }

    // Closing with unread bytes resets the connection and may take the answer away from the client: end our
    // side and read on until it ends its own.
    void drain() {
        error_code ignored;
        if constexpr (is_tls) {
            stream_.async_shutdown([self = this->shared_from_this()](const error_code&) {});
        } else {
            socket().shutdown(tcp::socket::shutdown_send, ignored);
        }
    }

    void finish_answer() {
        if (std::exchange(is_answering_, false))
            listener_.handler_.written(answer_);
    }

    Listener& listener_;
    Stream stream_;
    asio::steady_timer timer_;
    std::string input_;
    std::string output_;
    std::size_t sent_ = 0;
    Request request_;
    Answer answer_;
    bool is_answering_ = false;
};

using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

Listener::Listener(asio::io_context& loop, const std::string& address, unsigned short port, Handler& handler,
                   asio::ssl::context* tls)
    : loop_(loop), endpoint_(asio::ip::make_address(address), port), acceptor_(loop), place_(loop),
      handler_(handler), tls_(tls) {
    open();
}

Listener::~Listener() {
    close();
}

void Listener::open() {
    if (acceptor_.is_open())
        return;
    acceptor_.open(endpoint_.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint_);
    acceptor_.listen(512);
    endpoint_ = acceptor_.local_endpoint();
    error_code ignored;
    place_.close(ignored);
    accept();
}

void Listener::close() {
    error_code ignored;
    if (acceptor_.is_open()) {
        acceptor_.set_option(reuse_port(true), ignored); // beside the listener
        place_.open(endpoint_.protocol(), ignored);
        place_.set_option(reuse_port(true), ignored);
        place_.set_option(tcp::socket::reuse_address(true), ignored); // beside its connections
        place_.bind(endpoint_, ignored);
    }
    acceptor_.close(ignored);
    for (Connection* connection : connections_)
        connection->stop();
}

void Listener::accept() {
    acceptor_.async_accept(
        [this](const error_code& error, tcp::socket socket) { on_accept(error, std::move(socket)); });
}

void Listener::on_accept(const error_code& error, tcp::socket socket) {
    if (!acceptor_.is_open())
        return;
    if (!error) {
        if (tls_)
            std::make_shared<HttpConnection<asio::ssl::stream<tcp::socket>>>(*this, std::move(socket), *tls_)
                ->start();
        else
            std::make_shared<HttpConnection<tcp::socket>>(*this, std::move(socket))->start();
    }
    accept();
}

} // namespace things::simulator
