// SPDX-License-Identifier: Apache-2.0
#include "polling/keeping_sink.hpp"

#include <cerrno>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace things {

namespace {
constexpr std::size_t most_kept = 100'000;

template <typename Item>
void keep(std::vector<Item>& items, Item item) {
    if (items.size() < most_kept)
        items.push_back(std::move(item));
}
} // namespace

KeepingSink::KeepingSink() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (wake_fd_ < 0)
        throw std::system_error(errno, std::generic_category(), "eventfd");
}

KeepingSink::~KeepingSink() {
    ::close(wake_fd_);
}

void KeepingSink::on_readings(std::vector<RawReading> more) {
    for (RawReading& reading : more)
        keep(readings, std::move(reading));
}

void KeepingSink::on_garbage(std::uint64_t count, const std::string& why) {
    garbage += count;
    garbage_why = why;
}

void KeepingSink::on_event(SourceEvent event) {
    keep(events, std::move(event));
}

void KeepingSink::on_problem(SettingProblem problem) {
    keep(problems, std::move(problem));
}

void KeepingSink::on_found(std::string json) {
    keep(found, std::move(json));
}

void KeepingSink::interrupt(bool on) {
    if (on == interrupted_)
        return;
    interrupted_ = on;
    std::uint64_t number = 1;
    if (on)
        (void)!::write(wake_fd_, &number, sizeof number);
    else
        (void)!::read(wake_fd_, &number, sizeof number);
}

void KeepingSink::forget() {
    readings.clear();
    events.clear();
    problems.clear();
    found.clear();
    garbage = 0;
    garbage_why.clear();
}

} // namespace things
