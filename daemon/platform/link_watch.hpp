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
class LinkState {
public:
    /// Takes what one read of the socket returned. True if an address that reaches beyond the link, or a
    /// default route, is new; notices that only refresh a lifetime are not.
    [[nodiscard]] bool apply(std::string_view messages);

private:
    std::set<std::string> known_;
};

/// Loop only.
class LinkWatch {
public:
    /// Calls `on_up` on the loop, once for notices that come together.
    LinkWatch(boost::asio::io_context& loop, std::function<void()> on_up);
    ~LinkWatch();
    [[nodiscard]] bool is_on() const { return work_ != nullptr; }

private:
    class Work;
    std::shared_ptr<Work> work_; ///< shared with the handlers that wait for the socket
};

} // namespace things
