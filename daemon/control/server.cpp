// SPDX-License-Identifier: Apache-2.0
#include "control/server.hpp"

#include "control/connection.hpp"
#include "platform/log.hpp"
#include "platform/socket_file.hpp"
#include "platform/token_bucket.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace things {

namespace {

using Protocol = boost::asio::local::stream_protocol;

constexpr auto accept_pause = std::chrono::milliseconds(100);

std::int64_t steady_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

} // namespace

class ControlServer::Core : public ControlHost, public std::enable_shared_from_this<Core> {
public:
    Core(boost::asio::io_context& loop, ControlLimits limits)
        : loop_(loop), limits_(limits), acceptor_(loop), pause_(loop),
          // A burst of two seconds' worth, then one at a time.
          requests_(2 * std::int64_t{limits.requests_per_second}, 1000 / limits.requests_per_second) {}

    [[nodiscard]] std::string listen(const std::filesystem::path& path);
    void close();
    void accept();

    [[nodiscard]] bool has(const std::string& verb) const override { return verbs.contains(verb); }
    void answer(const ControlRequest& request, const SharedReply& reply) override;
    std::chrono::milliseconds admit() override;
    void on_closed(const ControlConnection& connection) override;

    struct Verb {
        ControlHandler handler;
        bool changes = false;
    };
    std::map<std::string, Verb, std::less<>> verbs;
    [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }

private:
    void on_accept(boost::system::error_code error, Protocol::socket socket);
    bool make_room();

    boost::asio::io_context& loop_;
    ControlLimits limits_;
    Protocol::acceptor acceptor_;
    boost::asio::steady_timer pause_;
    TokenBucket requests_;
    SocketFile file_;
    std::vector<std::shared_ptr<ControlConnection>> connections_; ///< shared: see ControlConnection
};

std::string ControlServer::Core::listen(const std::filesystem::path& path) {
    if (acceptor_.is_open() && file_.is_there())
        return {};
    // Somebody removed the file: nobody can reach the old socket any more.
    boost::system::error_code error;
    acceptor_.close(error);
    acceptor_.open(Protocol(), error);
    std::string problem = error ? error.message() : file_.bind(acceptor_.native_handle(), path);
    if (problem.empty() && acceptor_.listen(SOMAXCONN, error))
        problem = error.message();
    if (!problem.empty()) {
        acceptor_.close(error);
        return fmt::format("control socket {}: {}", path.string(), problem);
    }
    accept();
    return {};
}

void ControlServer::Core::accept() {
    acceptor_.async_accept(
        [weak = weak_from_this()](boost::system::error_code error, Protocol::socket socket) {
            if (const auto core = weak.lock())
                core->on_accept(error, std::move(socket));
        });
}

void ControlServer::Core::on_accept(boost::system::error_code error, Protocol::socket socket) {
    if (error == boost::asio::error::operation_aborted || !acceptor_.is_open())
        return;
    if (error) { // no descriptors left, most likely: try again when some may have been closed
        pause_.expires_after(accept_pause);
        pause_.async_wait([weak = weak_from_this()](boost::system::error_code cancelled) {
            if (const auto core = weak.lock(); core && !cancelled)
                core->accept();
        });
        return;
    }
    const bool has_room = make_room();
    // Who is turned away is heard first, so that it reads why; beyond twice the limit, it is not.
    if (connections_.size() < 2 * limits_.connections) {
        auto connection =
            std::make_shared<ControlConnection>(std::move(socket), weak_from_this(), limits_, !has_room);
        connections_.push_back(connection);
        connection->start();
    }
    accept();
}

/// Whether one more fits. A client that only sits there makes place for one that asks something.
bool ControlServer::Core::make_room() {
    if (connections_.size() < limits_.connections)
        return true;
    std::shared_ptr<ControlConnection> idlest;
    for (const auto& connection : connections_)
        if (connection->is_idle() && (!idlest || connection->idle_since() < idlest->idle_since()))
            idlest = connection;
    if (idlest)
        idlest->close();
    return connections_.size() < limits_.connections;
}

void ControlServer::Core::on_closed(const ControlConnection& connection) {
    const auto found = std::find_if(connections_.begin(), connections_.end(),
                                    [&connection](const auto& c) { return c.get() == &connection; });
    if (found != connections_.end())
        connections_.erase(found);
}

std::chrono::milliseconds ControlServer::Core::admit() {
    const auto now = steady_ms();
    if (requests_.take(now))
        return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(std::max<std::int64_t>(requests_.wait_ms(now), 1));
}

void ControlServer::Core::answer(const ControlRequest& request, const SharedReply& reply) {
    const Verb& verb = verbs.at(request.verb);
    if (verb.changes)
        log::write(log::Level::info,
                   fmt::format("control: '{}' asked by process {} of user {}", request.verb, request.pid,
                               request.uid),
                   {{"VERB", request.verb}, {"PEER_UID", std::to_string(request.uid)}});
    try {
        verb.handler(request, reply);
    } catch (const std::exception& e) { // a handler's mistake must not end the daemon
        log::error("control: '{}' failed: {}", request.verb, e.what());
        reply->fail(1, e.what());
    }
}

void ControlServer::Core::close() {
    boost::system::error_code ignored; // whatever it says, the descriptor is gone
    if (acceptor_.is_open()) {
        acceptor_.close(ignored);
        file_.remove();
    }
    pause_.cancel();
    for (const auto& connection : std::exchange(connections_, {}))
        connection->close();
}

ControlServer::ControlServer(boost::asio::io_context& loop, ControlLimits limits)
    : core_(std::make_shared<Core>(loop, limits)) {}

ControlServer::~ControlServer() {
    core_->close();
}

void ControlServer::add(std::string verb, ControlHandler handler, bool changes) {
    core_->verbs[std::move(verb)] = {std::move(handler), changes};
}

std::string ControlServer::listen(const std::filesystem::path& path) {
    return core_->listen(path);
}

void ControlServer::close() {
    core_->close();
}

std::size_t ControlServer::connection_count() const {
    return core_->connection_count();
}

} // namespace things
