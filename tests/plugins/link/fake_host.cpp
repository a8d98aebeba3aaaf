// SPDX-License-Identifier: Apache-2.0
#include "plugins/link/fake_host.hpp"

#include <doctest/doctest.h>

#include <sys/eventfd.h>
#include <unistd.h>

namespace things {

TestConfig& TestConfig::set(const char* key, TestValue value) {
    source_.front().push_back({key, std::move(value)});
    return *this;
}

TestConfig& TestConfig::point(const char* name, const char* unit, std::int64_t interval_ms) {
    points_.push_back({name, unit, interval_ms, false, {}});
    return *this;
}

TestConfig& TestConfig::at(const char* key, TestValue value) {
    points_.back().items.push_back({key, std::move(value)});
    return *this;
}

TestConfig& TestConfig::writable() {
    points_.back().is_writable = true;
    return *this;
}

std::vector<const things_setting*> TestConfig::settings_of(const std::vector<Item>& items) {
    std::vector<const things_setting*> list;
    for (const Item& item : items) {
        things_setting setting{};
        setting.size = sizeof setting;
        setting.key = item.key.c_str();
        setting.value = make_value(item.value);
        settings_.push_back(setting);
        list.push_back(&settings_.back());
    }
    return list;
}

const things_source_config* TestConfig::make() {
    device_.size = sizeof device_;
    device_.name = "device";
    device_list_ = {&device_};
    for (const Point& point : points_) {
        lists_.push_back(settings_of(point.items));
        things_point made{};
        made.size = sizeof made;
        made.name = point.name.c_str();
        made.unit = point.unit.c_str();
        made.interval_ms = point.interval_ms;
        made.writable = point.is_writable ? 1 : 0;
        made.setting_count = static_cast<std::uint32_t>(lists_.back().size());
        made.settings = lists_.back().data();
        made_points_.push_back(made);
        point_list_.push_back(&made_points_.back());
    }
    lists_.push_back(settings_of(source_.front()));
    config_.size = sizeof config_;
    config_.name = "source";
    config_.setting_count = static_cast<std::uint32_t>(lists_.back().size());
    config_.settings = lists_.back().data();
    config_.device_count = 1;
    config_.devices = device_list_.data();
    config_.point_count = static_cast<std::uint32_t>(point_list_.size());
    config_.points = point_list_.data();
    return &config_;
}

FakeHost::FakeHost(const things_plugin& plugin)
    : plugin_(plugin), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    host_.size = sizeof host_;
    host_.context = this;
    host_.emit = [](void* context, const things_reading* emitted, std::uint32_t count) {
        auto* self = static_cast<FakeHost*>(context);
        for (std::uint32_t i = 0; i < count; ++i) {
            if (emitted[i].value.kind == THINGS_TEXT)
                REQUIRE(emitted[i].value.text[emitted[i].value.length] == '\0');
            self->readings.push_back({emitted[i].point, copy_of(emitted[i].value), emitted[i].time_ms,
                                      emitted[i].flags, emitted[i].raw == nullptr ? "" : emitted[i].raw});
        }
    };
    host_.report = [](void* context, const things_event* event) {
        static_cast<FakeHost*>(context)->events.push_back(
            {event->kind, event->level, event->index, event->code, event->text});
    };
    host_.problem = [](void* context, std::uint32_t, std::uint32_t, const char* key, const char* message) {
        static_cast<FakeHost*>(context)->problems.push_back(std::string(key) + ": " + message);
    };
    host_.interrupted = [](void* context) {
        return static_cast<FakeHost*>(context)->is_interrupted_ ? 1 : 0;
    };
    host_.found = [](void* context, const char* json) {
        static_cast<FakeHost*>(context)->found.emplace_back(json);
    };
    host_.progress = [](void*, double) {
    };
    host_.wake_fd = wake_fd_;
    host_.clock_trusted = [](void* context) {
        return static_cast<FakeHost*>(context)->is_clock_trusted ? 1 : 0;
    };
    host_.patience = [](void* context, std::int64_t time_ms) {
        static_cast<FakeHost*>(context)->patience_ms = time_ms;
    };
}

FakeHost::~FakeHost() {
    if (source_ != nullptr)
        plugin_.destroy(source_);
    ::close(wake_fd_);
}

int FakeHost::create(TestConfig& config) {
    return plugin_.create(&host_, config.make(), &source_);
}

int FakeHost::poll(const std::vector<std::uint32_t>& points, std::int64_t timeout_ms) {
    return plugin_.poll(source_, points.data(), static_cast<std::uint32_t>(points.size()),
                        monotonic_ms() + timeout_ms);
}

int FakeHost::listen(std::int64_t timeout_ms) {
    return plugin_.listen(source_, monotonic_ms() + timeout_ms);
}

int FakeHost::write(std::uint32_t point, TestValue value, TestValue& written, std::int64_t timeout_ms) {
    things_value given = make_value(value), result = given;
    int status = plugin_.write(source_, point, &given, &result, monotonic_ms() + timeout_ms);
    written = copy_of(result);
    return status;
}

int FakeHost::discover(std::int64_t timeout_ms) {
    return plugin_.discover(source_, nullptr, 0, monotonic_ms() + timeout_ms);
}

int FakeHost::discover_at(const std::vector<std::int64_t>& bauds, std::int64_t timeout_ms) {
    std::vector<things_value> items;
    for (std::int64_t baud : bauds)
        items.push_back(make_value(TestValue(baud)));
    things_setting setting{};
    setting.size = sizeof setting;
    setting.key = "baud";
    setting.value = items.front();
    setting.items = items.data();
    setting.item_count = static_cast<std::uint32_t>(items.size());
    const things_setting* settings[] = {&setting};
    return plugin_.discover(source_, settings, 1, monotonic_ms() + timeout_ms);
}

int FakeHost::plan() {
    return plugin_.plan(source_);
}

void FakeHost::interrupt() {
    is_interrupted_ = true;
    std::uint64_t one = 1;
    REQUIRE(::write(wake_fd_, &one, sizeof one) == sizeof one);
}

void FakeHost::resume() {
    is_interrupted_ = false;
    std::uint64_t count = 0;
    (void)!::read(wake_fd_, &count, sizeof count);
}

std::vector<TestReading> FakeHost::of(std::uint32_t point) const {
    std::vector<TestReading> some;
    for (const TestReading& reading : readings)
        if (reading.point == point && (reading.flags & THINGS_UNCHANGED) == 0)
            some.push_back(reading);
    return some;
}

const TestEvent* FakeHost::event(const std::string& code, std::uint32_t kind) const {
    for (const TestEvent& event : events)
        if (event.code == code && event.kind == kind)
            return &event;
    return nullptr;
}

double number(const TestValue& value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value))
        return static_cast<double>(*whole);
    if (const auto* natural = std::get_if<std::uint64_t>(&value))
        return static_cast<double>(*natural);
    if (const auto* flag = std::get_if<bool>(&value))
        return *flag ? 1 : 0;
    REQUIRE(std::holds_alternative<double>(value));
    return std::get<double>(value);
}

std::string text(const TestValue& value) {
    REQUIRE(std::holds_alternative<std::string>(value));
    return std::get<std::string>(value);
}

} // namespace things
