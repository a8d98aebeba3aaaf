// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/request.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

// The control socket: HTTP on a Unix socket, by which the command line talks to the running daemon
// (control/request.hpp). Its file permissions (0660) and those of its directory decide who may. Loop only.
namespace things {

/// Answers one request. Handed to the verb's handler, which may keep it; calls after the client went away do
/// nothing. A reply that is dropped without an end ends itself as failed. Loop only.
///
/// The life of one: progress()*, then finish() or fail() once. What is called after that is ignored.
class ControlReply {
public:
    virtual ~ControlReply() = default;
    /// `json` is one JSON value without newline; the client's patience begins anew with it.
    virtual void progress(const std::string& json) = 0;
    /// Ends it well; `json` is the result, any JSON value.
    virtual void finish(const std::string& json = "null") = 0;
    /// Ends it badly; `exit_code` is what the command line shall return.
    virtual void fail(int exit_code, const std::string& text) = 0;
    /// False once it is ended or the client is gone: long work may be given up.
    [[nodiscard]] virtual bool is_open() const = 0;
};

/// Shared by the connection, which closes it, and by the handler, which keeps a copy to answer later.
using SharedReply = std::shared_ptr<ControlReply>;
using ControlHandler = std::function<void(const ControlRequest&, const SharedReply&)>;

struct ControlLimits {
    std::size_t connections = 32;      ///< one more ends the one that idled longest, or is turned away
    std::size_t max_pending = 8 << 20; ///< bytes a slow client may leave unread before it is cut off
    int requests_per_second = 50;      ///< over all connections; more wait
    int idle_ms = 60'000;              ///< a client that asks nothing, or never ends its request
    int stalled_ms = 10'000;           ///< a client that does not take its answer
};

/// Owned by the gateway. Its verbs are called on the loop and must not block; an exception from one is logged
/// and becomes the answer's failure (exit code 1), it does not end the daemon.
class ControlServer {
public:
    ControlServer(boost::asio::io_context& loop, ControlLimits limits = {});
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// A verb added twice is replaced. Requests of a verb that `changes` something are logged with the user
    /// and the process that asked.
    /// Before or after listen().
    void add(std::string verb, ControlHandler handler, bool changes = false);

    /// Takes the socket over, as SocketFile does; nothing happens while it is open and its file stands there.
    /// Returns the path and what is wrong with it; empty if nothing. On the loop or before it runs.
    [[nodiscard]] std::string listen(const std::filesystem::path& path);

    /// Closes everything and removes the file.
    /// Requests under way are not answered any more. The file stays if another daemon has put its own there
    /// meanwhile. May be called twice; the destructor does it too.
    void close();

    /// Clients connected at this moment; for tests and views.
    [[nodiscard]] std::size_t connection_count() const;

private:
    class Core;
    std::shared_ptr<Core> core_; ///< shared with the handlers of running operations, which hold it weakly
};

} // namespace things
