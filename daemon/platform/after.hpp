// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>

namespace boost::asio {
class io_context;
}

namespace things {

/// Calls a function on a loop after a while; never at once, even for zero. What still waits when the loop
/// ends is not called.
/// A value, so that a test passes one that runs what is due when its own clock says so. Loop only, as are the
/// functions it calls.
using After = std::function<void(std::chrono::milliseconds, std::function<void()>)>;

/// The real one. The loop must outlive what waits.
[[nodiscard]] After make_after(boost::asio::io_context& loop);

} // namespace things
