// SPDX-License-Identifier: Apache-2.0
#include "polling/inbox.hpp"

#include <cerrno>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace things {

namespace {
constexpr std::size_t most_waiting = 1000;
} // namespace

Inbox::Inbox() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (wake_fd_ < 0)
        throw std::system_error(errno, std::generic_category(), "eventfd");
}

Inbox::~Inbox() {
    ::close(wake_fd_);
}

bool Inbox::post(Request& request) {
    const std::lock_guard lock(mutex_);
    auto& queue = requests_.at(request.index());
    // A bound, so that a hanging plugin does not collect requests without end.
    if (is_closed() || queue.size() >= most_waiting)
        return false;
    queue.push_back(std::move(request));
    settle();
    return true;
}

void Inbox::close() {
    const std::lock_guard lock(mutex_);
    closed_.store(true, std::memory_order_release);
    settle();
}

std::vector<Request> Inbox::drain() {
    const std::lock_guard lock(mutex_);
    std::vector<Request> all;
    for (auto& queue : requests_) {
        for (Request& request : queue)
            all.push_back(std::move(request));
        queue.clear();
    }
    return all;
}

std::optional<Request> Inbox::take() {
    const std::lock_guard lock(mutex_);
    for (auto& queue : requests_) {
        if (queue.empty())
            continue;
        Request request = std::move(queue.front());
        queue.pop_front();
        return request;
    }
    return std::nullopt;
}

void Inbox::begin(Urgency urgency) {
    const std::lock_guard lock(mutex_);
    present_ = urgency;
    settle();
}

void Inbox::settle() {
    bool interrupted = is_closed();
    for (std::size_t i = 0; i < requests_.size(); ++i)
        // Urgency begins with stop, the queues with writes: hence the one.
        if (!requests_.at(i).empty() && i + 1 < static_cast<std::size_t>(present_))
            interrupted = true;
    // The flag and the descriptor change together, so that a plugin that waits on the one sees the other.
    if (interrupted == interrupted_.load(std::memory_order_relaxed))
        return;
    interrupted_.store(interrupted, std::memory_order_release);
    std::uint64_t number = 1;
    if (interrupted)
        (void)!::write(wake_fd_, &number, sizeof number);
    else
        (void)!::read(wake_fd_, &number, sizeof number);
}

} // namespace things
