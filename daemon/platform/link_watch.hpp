// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace boost::asio {
class io_context;
}

// Tells when the network came up, from the kernel's own notices (rtnetlink). A comfort: where the socket is
// not allowed, retries happen by their own clock only.
namespace things {

/// The addresses and default routes that the kernel has spoken of. Pure.
/// Keeps at most 4096 of them: a router with full tables must not fill the memory.
class LinkState {
public:
    /// Takes what one read of the socket returned. True if an address that reaches beyond the link, or a
    /// default route, is new; notices that only refresh a lifetime are not.
    /// `messages` are rtnetlink messages, one after the other; what is cut short or lies about its length
    /// ends the reading, what is of other kinds is skipped. Never throws on any bytes.
    [[nodiscard]] bool apply(std::string_view messages);

private:
    std::set<std::string> known_;
};

/// The socket on which the kernel speaks, and what to do when something came up.
/// Loop only.
class LinkWatch {
public:
    /// Calls `on_up` on the loop, once for notices that come together.
    /// Half a second is waited after the first, so that the address, its routes and its name server are all
    /// there. Never throws: without a socket is_on() is false and the log says that retries go by the clock.
    LinkWatch(boost::asio::io_context& loop, std::function<void()> on_up);
    /// After this `on_up` is not called any more, even if a notice is on its way.
    ~LinkWatch();
    [[nodiscard]] bool is_on() const { return work_ != nullptr; }

private:
    class Work;
    std::shared_ptr<Work> work_; ///< shared with the handlers that wait for the socket
};

} // namespace things
