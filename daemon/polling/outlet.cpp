// SPDX-License-Identifier: Apache-2.0
#include "polling/outlet.hpp"

#include <utility>

namespace things {

Outlet::Outlet(const Clock& clock, SourceListener& listener, std::function<Stamp()> now,
               std::function<bool()> is_clock_trusted)
    : listener_(&listener), clock_(&clock), now_(std::move(now)),
      is_clock_trusted_(std::move(is_clock_trusted)) {}

void Outlet::send(std::vector<PointReading> readings) {
    const std::lock_guard lock(mutex_);
    if (listener_ != nullptr && !readings.empty())
        listener_->on_readings(std::move(readings));
}

void Outlet::send(SourceEvent event) {
    const std::lock_guard lock(mutex_);
    if (listener_ != nullptr)
        listener_->on_event(std::move(event));
}

Stamp Outlet::stamp() {
    const std::lock_guard lock(clock_mutex_);
    if (clock_ != nullptr)
        last_stamp_ = now_ ? now_() : Stamp{clock_->wall_ms(), Stamp::Clock::wall};
    return last_stamp_;
}

std::int64_t Outlet::boot_ms() {
    const std::lock_guard lock(clock_mutex_);
    if (clock_ != nullptr)
        last_boot_ms_ = clock_->boot_ms();
    return last_boot_ms_;
}

bool Outlet::is_clock_trusted() {
    const std::lock_guard lock(clock_mutex_);
    if (is_clock_trusted_)
        was_clock_trusted_ = is_clock_trusted_();
    return was_clock_trusted_;
}

bool Outlet::put_back(Inbox& inbox) {
    const std::lock_guard lock(mutex_);
    // A request that is refused stays the present one, and whoever has it answers it.
    if (!present_ || !inbox.post(*present_))
        return false;
    present_.reset();
    return true;
}

void Outlet::end() {
    const std::lock_guard lock(mutex_);
    if (listener_ != nullptr)
        listener_->on_end();
}

void Outlet::lose(std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    if (listener_ != nullptr && count > 0)
        listener_->on_lost(count);
}

void Outlet::expect(Request request) {
    const std::lock_guard lock(mutex_);
    if (listener_ != nullptr)
        present_ = std::move(request);
}

void Outlet::answer(BusResult result) {
    const std::lock_guard lock(mutex_);
    if (!present_)
        return;
    const Request request = std::move(*std::exchange(present_, std::nullopt));
    if (const auto* write = std::get_if<WriteRequest>(&request); write != nullptr && write->handler)
        write->handler(std::move(result));
    else if (const auto* read = std::get_if<ReadRequest>(&request); read != nullptr && read->handler)
        read->handler(std::move(result));
}

void Outlet::found(std::string json) {
    const std::lock_guard lock(mutex_);
    if (present_)
        if (const auto* discover = std::get_if<DiscoverRequest>(&*present_); discover && discover->on_found)
            discover->on_found(std::move(json));
}

void Outlet::progress(double part) {
    const std::lock_guard lock(mutex_);
    if (present_)
        if (const auto* discover = std::get_if<DiscoverRequest>(&*present_);
            discover && discover->on_progress)
            discover->on_progress(part);
}

void Outlet::finish_discovery(std::string error) {
    const std::lock_guard lock(mutex_);
    if (!present_)
        return;
    const Request request = std::move(*std::exchange(present_, std::nullopt));
    if (const auto* discover = std::get_if<DiscoverRequest>(&request); discover && discover->on_done)
        discover->on_done(std::move(error));
}

void Outlet::dismiss(Request request, BusResult::Status status, const std::string& text) {
    if (auto* discover = std::get_if<DiscoverRequest>(&request)) {
        if (discover->on_done)
            discover->on_done(text);
        return;
    }
    BusResult result;
    result.status = status;
    result.text = text;
    if (auto* write = std::get_if<WriteRequest>(&request); write != nullptr && write->handler)
        write->handler(std::move(result));
    else if (auto* read = std::get_if<ReadRequest>(&request); read != nullptr && read->handler)
        read->handler(std::move(result));
}

void Outlet::dismiss(BusResult::Status status, const std::string& text) {
    const std::lock_guard lock(mutex_);
    // Only what never began may be called stopped; the command's value has to be read back.
    if (present_ && std::holds_alternative<WriteRequest>(*present_) && status == BusResult::Status::stopped)
        status = BusResult::Status::timeout; // it had begun
    if (present_)
        dismiss(std::move(*std::exchange(present_, std::nullopt)), status, text);
}

void Outlet::cut() {
    // After this returns the thread that hangs can touch nothing of its former owner.
    const std::scoped_lock lock(mutex_, clock_mutex_);
    clock_ = nullptr;
    listener_ = nullptr;
    now_ = nullptr;
    is_clock_trusted_ = nullptr;
}

} // namespace things
