// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace things {

/// Notices that the machine got an address or a default route (rtnetlink(7)), so that a link that comes up is used at
/// once. Changes that come in a burst are told once, a moment after the first. Loop only. Where the kernel does not
/// let it watch, it never calls, and uploads go on with their own retries.
class LinkWatch {
public:
    LinkWatch(boost::asio::io_context& loop, std::function<void()> on_up);
    ~LinkWatch();
    LinkWatch(const LinkWatch&) = delete;
    LinkWatch& operator=(const LinkWatch&) = delete;

private:
    class Core;
    std::shared_ptr<Core> core_; // with the handlers that are pending when it ends
};

} // namespace things
