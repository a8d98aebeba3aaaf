// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "polling/source.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What a source is asked to do, most urgent first: stop, write, read, discover; polls come last and are not
// in here. The one thing by which the loop's thread and a source's thread meet; any thread.
namespace things {

using ResultHandler = std::function<void(BusResult)>;

/// `point` by index; after `not_after_boot_ms` (CLOCK_BOOTTIME) it is not begun any more.
struct WriteRequest {
    std::uint32_t point = 0;
    Value value;
    ResultHandler handler;
    std::int64_t not_after_boot_ms = INT64_MAX;
};

struct ReadRequest {
    std::uint32_t point = 0;
    ResultHandler handler;
};

/// `on_done` is called once, with an empty text if all went well.
struct DiscoverRequest {
    std::vector<Setting> options;
    std::function<void(std::string)> on_found;
    std::function<void(double)> on_progress;
    std::function<void(std::string)> on_done;
};

using Request = std::variant<WriteRequest, ReadRequest, DiscoverRequest>;

/// What a source's thread does at the moment; only what is more urgent interrupts it.
enum class Urgency : std::uint8_t { stop, write, read, discover, poll };

/// The flag, the descriptor and the queues change together under one mutex, which is never held over a
/// handler or a call of the plugin.
class Inbox {
public:
    /// Throws std::system_error if there is no descriptor left.
    Inbox();
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    /// False if it is closed or 1,000 of this kind wait already; the request is then still the caller's.
    [[nodiscard]] bool post(Request& request);
    /// No more requests; interrupts whatever goes on.
    /// For good. What waits is the source's thread's to answer (drain).
    void close();
    /// Everything that was not taken. The caller answers each.
    [[nodiscard]] std::vector<Request> drain();

    /// The most urgent request, if there is one. Source's thread.
    [[nodiscard]] std::optional<Request> take();
    /// Says what the thread does next, which decides what interrupts it. Source's thread.
    void begin(Urgency urgency);

    [[nodiscard]] bool is_interrupted() const { return interrupted_.load(std::memory_order_acquire); }
    [[nodiscard]] bool is_closed() const { return closed_.load(std::memory_order_acquire); }
    /// Readable while `is_interrupted`.
    [[nodiscard]] int wake_fd() const { return wake_fd_; }

private:
    void settle(); ///< with the mutex held

    int wake_fd_ = -1;
    std::atomic<bool> interrupted_{false}, closed_{false};
    std::mutex mutex_; ///< guards what follows
    std::array<std::deque<Request>, 3> requests_;
    Urgency present_ = Urgency::poll;
};

} // namespace things
