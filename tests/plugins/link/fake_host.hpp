// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "things_plugin.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

// A host for one source of a plugin, as small as it can be: keeps what is emitted and reported, and can
// interrupt. Calls go through the plugin's C table, as those of the daemon do. For the test's thread;
// interrupt() for any.
namespace things {

using TestValue = PluginValue;

struct TestReading {
    std::uint32_t point = 0;
    TestValue value;
    std::int64_t time_ms = 0;
    std::uint32_t flags = 0;
    std::string raw;
};

struct TestEvent {
    std::uint32_t kind = 0, level = 0, index = 0;
    std::string code, text;
};

/// Settings as YAML would give them, kept alive for create.
class TestConfig {
public:
    TestConfig() : source_(1) {}
    TestConfig& set(const char* key, TestValue value);
    /// A new point, which the following calls of `at` are for.
    TestConfig& point(const char* name, const char* unit, std::int64_t interval_ms);
    TestConfig& at(const char* key, TestValue value);
    TestConfig& writable();
    [[nodiscard]] const things_source_config* make();

private:
    struct Item {
        std::string key;
        TestValue value;
    };
    struct Point {
        std::string name, unit;
        std::int64_t interval_ms = 0;
        bool is_writable = false;
        std::vector<Item> items;
    };
    std::vector<const things_setting*> settings_of(const std::vector<Item>& items);

    std::vector<std::vector<Item>> source_;
    std::deque<Point> points_;
    std::deque<things_setting> settings_;
    std::deque<things_point> made_points_;
    std::deque<std::vector<const things_setting*>> lists_;
    std::vector<const things_point*> point_list_;
    std::vector<const things_device*> device_list_;
    things_device device_{};
    things_source_config config_{};
};

class FakeHost {
public:
    explicit FakeHost(const things_plugin& plugin);
    ~FakeHost();
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;

    /// THINGS_OK, or what create returned; problems are in `problems` as "key: message".
    int create(TestConfig& config);
    int poll(const std::vector<std::uint32_t>& points, std::int64_t timeout_ms);
    int listen(std::int64_t timeout_ms);
    int write(std::uint32_t point, TestValue value, TestValue& written, std::int64_t timeout_ms);
    int discover(std::int64_t timeout_ms);
    int discover_at(const std::vector<std::int64_t>& bauds, std::int64_t timeout_ms);
    int plan();
    void interrupt();
    void resume();
    /// Readings of one point, without those marked as unchanged.
    [[nodiscard]] std::vector<TestReading> of(std::uint32_t point) const;
    [[nodiscard]] const TestEvent* event(const std::string& code, std::uint32_t kind = THINGS_PROBLEM) const;

    bool is_clock_trusted = false;
    std::int64_t patience_ms = 0; ///< as the plugin asked for it
    std::vector<TestReading> readings;
    std::vector<TestEvent> events;
    std::vector<std::string> problems;
    std::vector<std::string> found;

private:
    const things_plugin& plugin_;
    things_host host_{};
    things_source* source_ = nullptr;
    int wake_fd_ = -1;
    std::atomic<bool> is_interrupted_{false};
};

[[nodiscard]] double number(const TestValue& value);
[[nodiscard]] std::string text(const TestValue& value);

} // namespace things
