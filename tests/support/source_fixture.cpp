// SPDX-License-Identifier: Apache-2.0
#include "support/source_fixture.hpp"

#include <chrono>
#include <future>

namespace things::test {

void Ear::on_readings(std::vector<PointReading> readings) {
    const std::lock_guard lock(mutex_);
    readings_.insert(readings_.end(), readings.begin(), readings.end());
    changed_.notify_all();
}

void Ear::on_event(SourceEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
}

std::vector<PointReading> Ear::readings() {
    const std::lock_guard lock(mutex_);
    return readings_;
}

std::vector<SourceEvent> Ear::events() {
    const std::lock_guard lock(mutex_);
    return events_;
}

std::vector<PointReading> Ear::of(std::uint32_t point) {
    const std::lock_guard lock(mutex_);
    std::vector<PointReading> found;
    for (const PointReading& reading : readings_)
        if (reading.point == point)
            found.push_back(reading);
    return found;
}

bool Ear::heard(const std::string& code) {
    const std::lock_guard lock(mutex_);
    for (const SourceEvent& event : events_)
        if (event.code == code)
            return true;
    return false;
}

bool Ear::wait(const std::function<bool()>& condition, Milliseconds deadline) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= until)
            return false;
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, Milliseconds(10));
    }
    return true;
}

SourceWork make_work(const std::string& plugin, std::uint32_t count, Milliseconds interval) {
    SourceWork work;
    work.config.name = "s";
    work.config.plugin = plugin;
    work.devices.push_back({"d", {}});
    for (std::uint32_t i = 0; i < count; ++i) {
        SourcePoint point;
        point.config.name = "p" + std::to_string(i);
        point.config.interval = interval;
        work.points.push_back(std::move(point));
    }
    return work;
}

namespace {

template <typename Ask>
BusResult ask(const Ask& ask_for, Milliseconds deadline) {
    // Shared with the handler, which may come after the deadline.
    auto promise = std::make_shared<std::promise<BusResult>>();
    auto future = promise->get_future();
    ask_for([promise](BusResult result) { promise->set_value(std::move(result)); });
    if (future.wait_for(deadline) != std::future_status::ready) {
        BusResult none;
        none.status = BusResult::Status::timeout;
        none.text = "the test got no answer";
        return none;
    }
    return future.get();
}

} // namespace

BusResult read_now(Source& source, std::uint32_t point, Milliseconds deadline) {
    return ask([&source, point](auto handler) { source.read(point, handler); }, deadline);
}

BusResult write_now(Source& source, std::uint32_t point, Value value, Milliseconds deadline) {
    return ask([&source, point, &value](auto handler) { source.write(point, value, INT64_MAX, handler); },
               deadline);
}

Setting make_setting(const std::string& key, Scalar value) {
    Setting setting;
    setting.key = key;
    setting.value = std::move(value);
    return setting;
}

std::filesystem::path plugin_file(const std::string& name) {
    return std::filesystem::path(THINGS_TEST_PLUGINS) / (name + ".so");
}

std::filesystem::path bad_plugin_file(const std::string& name) {
    return std::filesystem::path(THINGS_TEST_BAD_PLUGINS) / (name + ".so");
}

SourceOptions quick_options() {
    SourceOptions options;
    options.host_executable = THINGS_TEST_HOST;
    options.call_time = Milliseconds(500);
    options.grace = Milliseconds(500);
    return options;
}

} // namespace things::test
